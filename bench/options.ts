/** The command line of the benchmarks. */
import { parseArgs } from "node:util";
import { Failure } from "../tools/demo/failure.ts";
import { whole } from "../tools/demo/options.ts";

export const usage = `usage: npm run bench -- SCENARIO [options]

scenarios in which Tidemark was stopped, the orders workload was loaded, and Tidemark catches up
  kafka              into a topic, debezium format
  file               into a file of JSON lines, and beside it mysqlbinlog --raw
  decode             only reads and decodes, with either reader, and beside it mysqlbinlog --raw
others
  latency            from COMMIT's OK to the consumer, at 1,000 transactions a second
  start              from the start to the first record, with 10,000 tables on the server
  memory             the most of it, through large transactions and a broker that stands still
  snapshot           a million rows that are there, beside Debezium Server and mysql --quick
  compare            catching up, beside Debezium Server, go-mysql and mysqlbinlog --raw
  all                those that docs/performance.md shows, and writes them there

  --transactions N   of the workload; 10 make 121 row changes (default 20000: 242,000)
  --rounds N         measure N times and print the median
  --partitions N     of the topic (default 1)
  --profile FOLDER   let Node write a CPU profile of Tidemark there (slows it down)
  --node-arg ARG     for Tidemark's Node, such as --node-arg=--max-semi-space-size=32; repeatable
  --quick            smaller and shorter: shows that it works, not how fast
  --write            put the result into docs/performance.md, its chart and performance.json
  --json             the result as one line of JSON on stdout, progress on stderr
`;

/** And how often each is measured unless told otherwise. */
const defaultRounds = {
  kafka: 1,
  file: 1,
  decode: 1,
  latency: 1,
  start: 5,
  memory: 1,
  compare: 3,
  snapshot: 3,
} as const;
export type Scenario = keyof typeof defaultRounds;
export const scenarios = Object.keys(defaultRounds) as Scenario[];

/** In the order in which `all` runs them. */
const published = ["compare", "snapshot", "latency", "start", "memory", "decode"] as const;
export type Published = (typeof published)[number];

export function isPublished(scenario: Scenario): scenario is Published {
  return published.some(name => name === scenario);
}

export interface BenchOptions {
  readonly scenario: Scenario;
  readonly transactions: number;
  readonly rounds: number;
  readonly partitions: number;
  readonly profile: string | undefined;
  readonly nodeArgs: readonly string[];
  readonly quick: boolean;
  readonly write: boolean;
  readonly json: boolean;
}

/** One of each scenario to run; undefined if only help is asked for. */
export function parseOptions(args: readonly string[]): readonly BenchOptions[] | undefined {
  const { values, positionals } = parse(args);
  if (values.help) return undefined;
  const [named = "", ...more] = positionals;
  const chosen = named === "all" ? published : scenarios.filter(name => name === named);
  if (chosen.length === 0 || more.length > 0) {
    throw new Failure(`Name one scenario: ${scenarios.join(", ")}, or all.`);
  }
  const write = values.write || named === "all";
  if (write && values.quick) throw new Failure("What --quick measures is not for the page.");
  return chosen.map(scenario => {
    if (write && !isPublished(scenario)) {
      throw new Failure(`The page shows no scenario ${scenario}: ${published.join(", ")}.`);
    }
    return {
      scenario,
      transactions: whole("--transactions", values.transactions, [10, 10_000_000]),
      rounds: whole("--rounds", values.rounds ?? String(defaultRounds[scenario]), [1, 20]),
      partitions: whole("--partitions", values.partitions, [1, 100]),
      profile: values.profile,
      nodeArgs: values.nodeArgs,
      quick: values.quick,
      write,
      json: values.json,
    };
  });
}

interface Parsed {
  readonly values: {
    readonly transactions: string;
    readonly rounds: string | undefined;
    readonly partitions: string;
    readonly profile: string | undefined;
    readonly nodeArgs: readonly string[];
    readonly quick: boolean;
    readonly write: boolean;
    readonly json: boolean;
    readonly help: boolean;
  };
  readonly positionals: readonly string[];
}

function parse(args: readonly string[]): Parsed {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        transactions: { type: "string", default: "20000" },
        rounds: { type: "string" },
        partitions: { type: "string", default: "1" },
        profile: { type: "string" },
        "node-arg": { type: "string", multiple: true, default: [] },
        quick: { type: "boolean", default: false },
        write: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    const nodeArgs = values["node-arg"];
    return { values: { profile: undefined, rounds: undefined, ...values, nodeArgs }, positionals };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Failure(`${reason.split(". ")[0] ?? reason}; see npm run bench -- --help.`);
  }
}
