/** The arguments and options by which every command that needs a configuration is told where it is. */
import type { Command } from "commander";
import { readEnvironment } from "../config/environment.ts";
import { loadConfig, type LoadedConfig } from "../config/load.ts";
import { TidemarkError } from "../core/errors.ts";
import type { Reporter } from "./reporter.ts";

export interface ConfigFlags {
  readonly config?: string;
  readonly set?: readonly string[];
  readonly name?: string;
}

export interface ConfigArguments {
  readonly source: string | undefined;
  readonly target: string | undefined;
  readonly flags: ConfigFlags;
  readonly reporter: Reporter;
}

const SECONDS_MAX = 86_400;

export function withConfigOptions(command: Command): Command {
  return withConfigFlags(
    command
      .argument("[source]", "mysql://user@host:3306/database, instead of a file")
      .argument("[target]", "kafka://host:9092, file:./changes.jsonl or stdout:"),
  );
}

export function withConfigFlags(command: Command): Command {
  return command
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

/** How long a command waits for servers, where it does not wait for ever. */
export function withTimeout(command: Command, defaultSeconds: number): Command {
  return command.option(
    "--connect-timeout <seconds>",
    "how long to wait for what is not reachable; exit code 69 after that",
    parseSeconds,
    defaultSeconds,
  );
}

export function parseSeconds(value: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(value) ? Number(value) : 0;
  if (seconds > 0 && seconds <= SECONDS_MAX) return seconds;
  throw new TidemarkError(
    "USAGE",
    `--connect-timeout expects a number of seconds above 0, at most ${SECONDS_MAX}.`,
  );
}

/** The configuration that was asked for; its warnings are told. */
export function loadFrom({ source, target, flags, reporter }: ConfigArguments): LoadedConfig {
  const { config: file, set: overrides = [], name } = flags;
  const loaded = loadConfig({ file, source, target, name, overrides }, readEnvironment());
  for (const warning of loaded.warnings) reporter.warn(warning);
  return loaded;
}
