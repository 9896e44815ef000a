/** The command line: what can be said, and what is done about what cannot. */
import { Command, CommanderError } from "commander";
import { printSettings } from "../config/redact.ts";
import { TidemarkError } from "../core/errors.ts";
import { addActivity } from "./activity-options.ts";
import { checkCommand, type CheckFlags } from "./check-command.ts";
import {
  loadFrom,
  parseSeconds,
  withConfigFlags,
  withConfigOptions,
  withTimeout,
  type ConfigFlags,
} from "./config-options.ts";
import { movePosition, showPosition, type PositionFlags } from "./position-command.ts";
import { completionScript } from "./completion.ts";
import { decodeCommand, parseLimit, type DecodeFlags } from "./decode-command.ts";
import { redeliverCommand, type RedeliverFlags } from "./redeliver-command.ts";
import { Reporter } from "./reporter.ts";
import { snapshotCommand, type SnapshotFlags } from "./snapshot-command.ts";
import { endSoon, QUESTIONS_END_MS, runCommand } from "./run-command.ts";
import type { RunFlags } from "./run-command.ts";
import { usageError } from "./usage.ts";

const LOG_LEVELS = ["debug", "info", "warn", "error"];
const CHECK_TIMEOUT_S = 10;

/** @returns the exit code */
export async function runCli(args: readonly string[]): Promise<number> {
  const reporter = new Reporter();
  reporter.watchProcess();
  try {
    const outcome = { exitCode: 0 };
    const program = buildProgram(reporter, outcome);
    await reporter.expectEnd(program.parseAsync([...args], { from: "user" }));
    return outcome.exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      // Help that was asked for, or the version; help that was not asked for has code commander.help.
      if (thrown.exitCode === 0) return 0;
      if (thrown.code === "commander.help") return new TidemarkError("USAGE", "").exitCode;
      return reporter.report(usageError(thrown));
    }
    return reporter.report(thrown);
  }
}

/** @param outcome takes the exit code of a command that ends with more than done or an error. */
function buildProgram(reporter: Reporter, outcome: { exitCode: number }): Command {
  const program = new Command("tidemark")
    .description(
      "Streams every row change of a MySQL server into Kafka, in order, and never skips one.",
    )
    .version(__VERSION__, "--version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .exitOverride()
    // What commander would say may repeat an argument, and an argument may hold a password.
    .configureOutput({ outputError: () => undefined })
    .addHelpText("after", PROGRAM_HELP);

  withConfigOptions(program.command("run"))
    .description("stream changes until it is stopped")
    .option("--log-level <level>", `one of ${LOG_LEVELS.join(", ")}`, parseLogLevel)
    .option(
      "--connect-timeout <seconds>",
      "end with exit code 69 if MySQL and the destination are not reached in this time (default: wait for ever)",
      parseSeconds,
    )
    .addHelpText("after", RUN_HELP)
    .action((source: string | undefined, target: string | undefined, flags: RunFlags) =>
      runCommand({ source, target, flags, reporter }),
    );

  withConfigOptions(program.command("config"))
    .description("check the configuration and print what results, without secrets")
    .addHelpText("after", CONFIG_HELP)
    .action((source: string | undefined, target: string | undefined, flags: ConfigFlags) => {
      const { settings } = loadFrom({ source, target, flags, reporter });
      process.stdout.write(printSettings(settings));
    });

  withTimeout(withConfigOptions(program.command("check")), CHECK_TIMEOUT_S)
    .description(
      "look at everything that the configuration needs, and say what mends what is missing",
    )
    .option("--json", "print the findings as JSON")
    .addHelpText("after", CHECK_HELP)
    .action(async (source: string | undefined, target: string | undefined, flags: CheckFlags) => {
      outcome.exitCode = await checkCommand({ source, target, flags, reporter });
      endSoon(QUESTIONS_END_MS);
    });
  addPosition(program, reporter);
  withConfigOptions(program.command("redeliver"))
    .description("send the dead letters of a pipeline to its destination again, in their order")
    .option("--pipeline <name>", "the pipeline, where several have dead letters")
    .addHelpText("after", REDELIVER_HELP)
    .action(
      async (source: string | undefined, target: string | undefined, flags: RedeliverFlags) => {
        await redeliverCommand({ source, target, flags, reporter });
        endSoon(QUESTIONS_END_MS);
      },
    );
  addSnapshot(program, reporter);
  addDecode(program, reporter);
  addActivity(program, reporter);
  program
    .command("completion")
    .description("print a script that completes commands and options in a shell")
    .argument("<shell>", "bash, zsh or fish")
    .addHelpText("after", COMPLETION_HELP)
    .action((shell: string) => {
      process.stdout.write(completionScript(program, shell));
    });
  return program;
}

function addSnapshot(program: Command, reporter: Reporter): void {
  withTimeout(withConfigFlags(program.command("snapshot")), CHECK_TIMEOUT_S)
    .description("ask a pipeline, while it runs, for the rows that tables have now")
    .argument(
      "<table...>",
      "such as shop.orders or 'shop.*'; behind them mysql://… and the target, instead of a file",
    )
    .option("--pipeline <name>", "the pipeline, where the configuration has several")
    .option("--force", "send also the rows of tables that were copied before")
    .option("--wait", "end when the rows are copied, and show how far it is")
    .addHelpText("after", SNAPSHOT_HELP)
    .action(async (words: readonly string[], flags: SnapshotFlags) => {
      await snapshotCommand(words, flags, reporter);
      endSoon(QUESTIONS_END_MS);
    });
}

function addDecode(program: Command, reporter: Reporter): void {
  program
    .command("decode")
    .description("print the changes in a server's binlog, or in binlog files, as lines of JSON")
    .argument(
      "<source...>",
      "mysql://user@host:3306/database, or without a database; or binlog files, in their order",
    )
    .option(
      "--start <place>",
      "latest, earliest, FILE:POSITION or a GTID set of the server (default: latest)",
    )
    .option(
      "--tables <pattern...>",
      "such as 'shop.*' '!shop.audit_*' (default: all of the database, or of the files)",
    )
    .option("--limit <number>", "end after so many lines", parseLimit, Infinity)
    .option("--set <path=value...>", "change one value, such as source.tls.mode=required")
    .addHelpText("after", DECODE_HELP)
    .action(async (sources: readonly string[], flags: DecodeFlags) => {
      await decodeCommand(sources, flags, reporter);
      endSoon(QUESTIONS_END_MS);
    });
}

function addPosition(program: Command, reporter: Reporter): void {
  const position = program
    .command("position")
    .description("show where a pipeline stands in the binlog, or put it somewhere else")
    .addHelpText("after", POSITION_HELP);

  withPipeline(withConfigOptions(position.command("show")))
    .description("print the checkpoint of each pipeline")
    .option(
      "--format <format>",
      "file: as {log_file, log_pos, timestamp, readable_time}, which set takes too",
      parseFormat,
    )
    .addHelpText("after", POSITION_HELP)
    .action(
      async (source: string | undefined, target: string | undefined, flags: PositionFlags) => {
        await showPosition({ source, target, flags, reporter });
        endSoon(QUESTIONS_END_MS);
      },
    );

  withPipeline(
    withConfigOptions(
      position
        .command("set")
        .argument(
          "<place>",
          "latest, earliest, FILE:POSITION, a GTID set, or a file of show --format file",
        ),
    ),
  )
    .description("let a pipeline go on at another place; what that skips or repeats is said")
    .addHelpText("after", POSITION_HELP)
    .action(
      async (
        place: string,
        source: string | undefined,
        target: string | undefined,
        flags: PositionFlags,
      ) => {
        await movePosition({ place, source, target, flags, reporter });
        endSoon(QUESTIONS_END_MS);
      },
    );
}

function withPipeline(command: Command): Command {
  return withTimeout(command, CHECK_TIMEOUT_S)
    .option("--pipeline <name>", "the pipeline, where the configuration has several")
    .option("--json", "print JSON");
}

function parseFormat(value: string): string {
  if (value === "file") return value;
  throw new TidemarkError("USAGE", "--format expects file.");
}

function parseLogLevel(value: string): string {
  if (LOG_LEVELS.includes(value)) return value;
  throw new TidemarkError("USAGE", `--log-level expects one of ${LOG_LEVELS.join(", ")}.`);
}

const PROGRAM_HELP = `
Examples:
  tidemark run mysql://cdc@127.0.0.1/shop stdout:
  tidemark run mysql://cdc@127.0.0.1/shop kafka://127.0.0.1:9092
  tidemark run --config tidemark.yaml
  tidemark check --config tidemark.yaml
  tidemark position show
  tidemark snapshot shop.orders
  tidemark decode mysql://cdc@127.0.0.1/shop --limit 10
  tidemark activity --user cdc

Exit codes: 0 done, 64 usage, 65 data or position unusable, 69 not reachable or not drained in time,
70 a bug, 75 another instance took over, 77 no privilege or wrong password, 78 bad configuration or
server setting.`;

const RUN_HELP = `
The password of the source comes from TIDEMARK_MYSQL_PASSWORD, or from the file's password or
password_file. Every option of the file is described in docs/configuration.md.

SIGINT or SIGTERM delivers what was read (at most shutdown_grace_ms) and ends; a second one ends at
once. Nothing is lost either way.

Examples:
  tidemark run mysql://cdc@127.0.0.1/shop kafka://127.0.0.1:9092 --name shop
  tidemark run mysql://cdc@db.internal/shop stdout: --set source.tls.mode=required
  tidemark run --config /etc/tidemark.yaml --connect-timeout 60`;

const CONFIG_HELP = `
Examples:
  tidemark config
  tidemark config --config tidemark.yaml --set pipelines.shop.sink.topic=changes`;

const CHECK_HELP = `
Looks at server settings, privileges, replica ids, binlog retention, tables, topics and their access
rules, and changes nothing. Every fault is shown with the statement that mends it. The exit code is
the highest of the errors; warnings do not count. run makes the same checks when it starts.

Examples:
  tidemark check mysql://cdc@127.0.0.1/shop kafka://127.0.0.1:9092
  tidemark check --config /etc/tidemark.yaml --connect-timeout 60
  tidemark check --json | jq -r '.[] | select(.ok | not) | .fix'`;

const POSITION_HELP = `
set looks whether the server can be read from the place, and then writes it into the commit log with
the present ends of the destination. It needs the file commit log for itself (exit code 75 while an
instance runs); with a commit log in Kafka, an instance that runs ends by itself (75). Where the place in
a position file lies inside a transaction, the pipeline goes on where that begins.

Examples:
  tidemark position show --config tidemark.yaml
  tidemark position show --pipeline shop --json
  tidemark position set latest --config tidemark.yaml --pipeline shop
  tidemark position set binlog.000003:4711
  tidemark position show --format file > position.json
  tidemark position set position.json
  tidemark position set 6db3edf2-e588-11f1-8730-02fc00000001:1-20013
  tidemark position set earliest mysql://cdc@127.0.0.1/shop kafka://127.0.0.1:9092`;

const REDELIVER_HELP = `
Reads the letters in a file or in Kafka that on_refused.dead_letter names, from where the last call ended,
and ends when the last of them is delivered. It stops at one that is refused again; mend the reason first.
The pipeline may be running. How far it got stands in <pipeline>.redelivered.json beside the commit log.

Examples:
  tidemark redeliver --config tidemark.yaml
  tidemark redeliver --config tidemark.yaml --pipeline shop`;

const SNAPSHOT_HELP = `
Looks whether the tables can be copied, and then asks the pipeline that runs with this configuration; it
copies them beside its changes, and goes on with that over restarts. A pipeline that does not run is asked
too: the exit code is 69, and its next start begins with it. source.snapshot.mode may be never.

Examples:
  tidemark snapshot shop.orders
  tidemark snapshot 'shop.*' '!shop.log_*' --wait
  tidemark snapshot shop.orders --force --config tidemark.yaml --pipeline shop
  tidemark snapshot shop.orders mysql://cdc@127.0.0.1/shop kafka://127.0.0.1:9092`;

const DECODE_HELP = `
A line holds the rows of one event, or a statement such as ALTER TABLE; passwords in statements are left
out. Of a server it is a replica of its own and keeps no position, so that pipelines are not disturbed. It
ends at --limit, at SIGINT, when the program that reads its output ends, or after the last file.

Files need no server, but binlog_row_metadata=FULL when they were written: otherwise they do not name the
columns, and decode stops (78) rather than guess. A file that is cut short or damaged is printed up to
there (65); of one that is still being written, standard error tells where it ended.

Examples:
  tidemark decode mysql://cdc@127.0.0.1/shop | jq .
  tidemark decode mysql://cdc@127.0.0.1 --start binlog.000003:4 --limit 10
  tidemark decode mysql://cdc@127.0.0.1/shop --start earliest --tables 'shop.orders'
  tidemark decode binlog.000003 binlog.000004 --tables 'shop.*'`;

const COMPLETION_HELP = `
Examples:
  source <(tidemark completion bash)
  tidemark completion zsh > "\${fpath[1]}/_tidemark"
  tidemark completion fish > ~/.config/fish/completions/tidemark.fish`;
