/** `tidemark check`: what the configuration needs of MySQL and of the destination, and what is missing. */
import { readEnvironment, wantsColors } from "../config/environment.ts";
import { highestExitCode } from "../core/finding.ts";
import { checkAll } from "../pipeline/checks.ts";
import { loadFrom, type ConfigArguments, type ConfigFlags } from "./config-options.ts";
import { findingsJson, findingsTable } from "./findings-table.ts";

export interface CheckFlags extends ConfigFlags {
  readonly json?: boolean;
  /** Seconds. */
  readonly connectTimeout: number;
}

/** @returns the highest exit code of the errors found */
export async function checkCommand(
  options: ConfigArguments & { readonly flags: CheckFlags },
): Promise<number> {
  const { flags } = options;
  const { config } = loadFrom(options);
  const findings = await checkAll(config, AbortSignal.timeout(flags.connectTimeout * 1_000));
  const colors = process.stdout.isTTY && wantsColors(readEnvironment());
  const json = flags.json === true;
  process.stdout.write(json ? findingsJson(findings) : findingsTable(findings, colors));
  return highestExitCode(findings);
}
