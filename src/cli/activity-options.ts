/** The options of `tidemark activity`, with the names and defaults of Schema Activity Monitor. */
import type { Command } from "commander";
import { TidemarkError } from "../core/errors.ts";
import { activityCommand, parseReport, type ActivityFlags } from "./activity-command.ts";
import type { Reporter } from "./reporter.ts";
import { endSoon, QUESTIONS_END_MS } from "./run-command.ts";

export function addActivity(program: Command, reporter: Reporter): void {
  program
    .command("activity")
    .description("show which schemas and tables receive changes, and send that to a queue")
    .option("--host <host>", "host name or address of the server", "localhost")
    .option("--port <port>", "its port", whole("--port"), "3306")
    .option("--user <user>", "user to log in with", "root")
    .option(
      "--password <password>",
      "its password; others see it: TIDEMARK_MYSQL_PASSWORD is better",
    )
    .option("--password-file <file>", "file that holds the password")
    .option(
      "--server-id <number>",
      "replica id (default: 42897 with a queue, otherwise one that nobody has)",
      whole("--server-id"),
    )
    .option("--gtid-set <set>", "begin after these transactions (default: with the next change)")
    .option("--queue-url <url>", "URL or name of an SQS FIFO queue (default: nothing is sent)")
    .option("--workers <number>", "requests to SQS at the same time", whole("--workers"), "5")
    .option(
      "--queue-size <number>",
      "transactions that may wait for delivery",
      whole("--queue-size"),
      "10000",
    )
    .option(
      "--interval <seconds>",
      "seconds that one message of a schema stands for",
      whole("--interval"),
      "1",
    )
    .option("--tables <pattern...>", "tables to look at, such as 'shop.*' '!*.tmp_*'", ["*.*"])
    .option("--name <name>", "name of the pipeline, under which the position is kept", "activity")
    .option("--state-dir <dir>", "where the position is kept, with a queue", "tidemark-state")
    .option(
      "--report <seconds>",
      "seconds between two reports (default: 1 on a terminal, otherwise 10)",
      parseReport,
    )
    .option("--json", "print each report as a line of JSON")
    .option("--verbose", "log at level debug")
    .option("--set <path=value...>", "change one value, such as source.tls.mode=required")
    .addHelpText("after", ACTIVITY_HELP)
    .action(async (flags: ActivityFlags) => {
      await activityCommand(flags, reporter);
      endSoon(QUESTIONS_END_MS);
    });
}

/** What is too small or too large is told with the rest of the configuration. */
function whole(option: string): (value: string) => string {
  return value => {
    if (/^\d+$/.test(value)) return value;
    throw new TidemarkError("USAGE", `${option} expects a whole number.`);
  };
}

const ACTIVITY_HELP = `
On a terminal a table, otherwise a line every so often: how many rows were changed in which schemas and
tables. Without a queue nothing is sent and no position is kept. SIGINT ends it.

With a queue it is a pipeline like others: what changed while it was stopped is sent after its next start,
and --gtid-set counts for its first start alone. docs/activity.md says what is sent, and when.

Examples:
  tidemark activity --user cdc --host db.internal
  tidemark activity --user cdc --gtid-set 6db3edf2-e588-11f1-8730-02fc00000001:1-200 --json
  tidemark activity --user cdc --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/activity.fifo`;
