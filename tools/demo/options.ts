/** The demo's command line. */
import { parseArgs } from "node:util";
import type { MysqlVersion } from "../services/interfaces.ts";
import { Failure } from "./failure.ts";

export const usage = `usage: npm run demo -- [options]

  --seconds N        how long the shop keeps writing (default 20)
  --mysql VERSION    mysql-9 (default) or mysql-8
  --target TARGET    kafka (default) or file
  --seed N           of the shop's choices (default 1)
  --json             the result as one line of JSON on stdout, progress on stderr
`;

export interface DemoOptions {
  readonly seconds: number;
  readonly mysql: MysqlVersion;
  readonly target: "kafka" | "file";
  readonly seed: number;
  readonly json: boolean;
}

const SECONDS_MIN = 5;
const SECONDS_MAX = 3_600;

/** Undefined if only help is asked for. */
export function parseOptions(args: readonly string[]): DemoOptions | undefined {
  const values = parse(args);
  if (values.help) return undefined;
  const { mysql, target } = values;
  if (mysql !== "mysql-9" && mysql !== "mysql-8") {
    throw new Failure(`There is no server "${mysql}": --mysql is mysql-9 or mysql-8.`);
  }
  if (target !== "kafka" && target !== "file") {
    throw new Failure(`There is no target "${target}": --target is kafka or file.`);
  }
  return {
    mysql,
    target,
    json: values.json,
    seconds: whole("--seconds", values.seconds, [SECONDS_MIN, SECONDS_MAX]),
    seed: whole("--seed", values.seed, [0, 2 ** 32 - 1]),
  };
}

function parse(args: readonly string[]): {
  readonly seconds: string;
  readonly mysql: string;
  readonly target: string;
  readonly seed: string;
  readonly json: boolean;
  readonly help: boolean;
} {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        seconds: { type: "string", default: "20" },
        mysql: { type: "string", default: "mysql-9" },
        target: { type: "string", default: "kafka" },
        seed: { type: "string", default: "1" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    return values;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Failure(`${reason.split(". ")[0] ?? reason}; see npm run demo -- --help.`);
  }
}

export function whole(
  name: string,
  text: string,
  [least, most]: readonly [number, number],
): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isInteger(value) && value >= least && value <= most) {
    return value;
  }
  throw new Failure(`${name} must be a whole number from ${least} to ${most}.`);
}
