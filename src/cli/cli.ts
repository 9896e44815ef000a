/** The command line: what can be said, and what is done about what cannot. */
import { Command, CommanderError } from "commander";
import { readEnvironment } from "../config/environment.ts";
import { loadConfig } from "../config/load.ts";
import { printSettings } from "../config/redact.ts";
import { TidemarkError } from "../core/errors.ts";
import { Reporter } from "./reporter.ts";
import { runCommand } from "./run-command.ts";
import type { RunFlags } from "./run-command.ts";
import { usageError } from "./usage.ts";

const LOG_LEVELS = ["debug", "info", "warn", "error"];
const CONNECT_TIMEOUT_MAX_S = 86_400;

interface ConfigFlags {
  readonly config?: string;
  readonly set?: readonly string[];
  readonly name?: string;
}

/** @returns the exit code */
export async function runCli(args: readonly string[]): Promise<number> {
  const reporter = new Reporter();
  reporter.watchProcess();
  try {
    await buildProgram(reporter).parseAsync([...args], { from: "user" });
    return 0;
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

function buildProgram(reporter: Reporter): Command {
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
    .action((source: string | undefined, target: string | undefined, flags: ConfigFlags) => {
      const { config: file, set: overrides = [], name } = flags;
      const loaded = loadConfig({ file, source, target, name, overrides }, readEnvironment());
      for (const warning of loaded.warnings) reporter.warn(warning);
      process.stdout.write(printSettings(loaded.settings));
    });
  return program;
}

function withConfigOptions(command: Command): Command {
  return command
    .argument("[source]", "mysql://user@host:3306/database, instead of a file")
    .argument("[target]", "kafka://host:9092, file:./changes.jsonl or stdout:")
    .option("-c, --config <file>", "configuration file (default: ./tidemark.yaml)")
    .option(
      "--set <path=value>",
      "change one value, such as pipelines.shop.sink.topic=changes; repeatable",
      (value: string, before: readonly string[] | undefined) => [...(before ?? []), value],
    )
    .option(
      "--name <name>",
      "name of the pipeline from source to target (default: the database's)",
    );
}

function parseLogLevel(value: string): string {
  if (LOG_LEVELS.includes(value)) return value;
  throw new TidemarkError("USAGE", `--log-level expects one of ${LOG_LEVELS.join(", ")}.`);
}

function parseSeconds(value: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(value) ? Number(value) : 0;
  if (seconds > 0 && seconds <= CONNECT_TIMEOUT_MAX_S) return seconds;
  throw new TidemarkError(
    "USAGE",
    `--connect-timeout expects a number of seconds above 0, at most ${CONNECT_TIMEOUT_MAX_S}.`,
  );
}

const PROGRAM_HELP = `
Examples:
  tidemark run mysql://cdc@127.0.0.1/shop stdout:
  tidemark run mysql://cdc@127.0.0.1/shop kafka://127.0.0.1:9092
  tidemark run --config tidemark.yaml
  tidemark config --set pipelines.shop.sink.topic=changes

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
