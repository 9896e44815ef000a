/**
 * Every sink passes the one suite (test/contract), against real servers: none is missing, none leaves a
 * test out. Then dead letters under kills, from end to end.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Figure, Outcome } from "../campaign.ts";
import { progress } from "../progress.ts";
import type { CheckContext } from "./check.ts";
import { deadLetters } from "./dead-letters.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** The groups of tests in the suite, by the words that their names begin with; those without are the base. */
const OFFSETS = "with offsets";
const AWAY = "while its destination is away";
const PARTLY = "in part";
const REFUSED = "of a message that is refused for good";

interface Suite {
  readonly files: readonly string[];
  /** What `describe` calls the sink: one or more of them, which share the groups. */
  readonly names: RegExp;
  /**
   * A file and a terminal refuse nothing for good, and what a disk takes in part is a torn line (a test of
   * its own). Only SQS answers for each message of a batch. Where there are no offsets, there is no tail.
   */
  readonly groups: readonly string[];
}

const suites: Readonly<Record<string, Suite>> = {
  kafka: {
    files: ["test/kafka/kafka-sink.kafka.test.ts", "test/kafka/kafka-faults.kafka.test.ts"],
    names: /^Kafka, /,
    groups: [OFFSETS, AWAY, REFUSED],
  },
  file: { files: ["test/sinks/file-sink.test.ts"], names: /^FileSink /, groups: [OFFSETS, AWAY] },
  stdout: { files: ["test/sinks/stdout-sink.test.ts"], names: /^StdoutSink /, groups: [AWAY] },
  sqs: {
    files: ["test/sinks/sqs-sink.services.test.ts"],
    names: /^SQS, /,
    groups: [AWAY, PARTLY, REFUSED],
  },
  rabbitmq: {
    files: ["test/sinks/rabbitmq-sink.services.test.ts"],
    names: /^RabbitmqSink /,
    groups: [AWAY, REFUSED],
  },
  webhook: {
    files: ["test/sinks/webhook/webhook-sink.test.ts"],
    names: /^WebhookSink /,
    groups: [AWAY, REFUSED],
  },
};

const IS_CONTRACT = / as a sink$/;

/** What vitest reports of one test. */
interface Result {
  readonly ancestorTitles: readonly string[];
  readonly title: string;
  readonly status: string;
}

interface Report {
  readonly testResults: readonly { readonly assertionResults: readonly Result[] }[];
}

export async function contract(context: CheckContext): Promise<Outcome> {
  const results = await runSuites();
  const suite = judge(results);
  progress(`contract: ${JSON.stringify(suite.figures)}`);
  const letters = await deadLetters(context);
  return {
    ok: suite.ok && letters.ok,
    void: letters.void,
    figures: { ...suite.figures, ...letters.figures },
  };
}

/** Tests of the suite alone: what else stands in these files is left out. */
async function runSuites(): Promise<readonly Result[]> {
  const dir = mkdtempSync(join(tmpdir(), "tidemark-verify-contract-"));
  try {
    const report = join(dir, "report.json");
    const files = Object.values(suites).flatMap(suite => suite.files);
    const reporter = ["--reporter=json", `--outputFile=${report}`];
    const args = ["run", ...files, ...reporter, "--testNamePattern", " as a sink "];
    const program = join(root, "node_modules/vitest/vitest.mjs");
    const vitest = spawn(process.execPath, [program, ...args], {
      cwd: root,
      stdio: ["ignore", "ignore", "inherit"],
    });
    await new Promise(resolve => vitest.once("exit", resolve));
    const { testResults } = JSON.parse(readFileSync(report, "utf8")) as Report;
    return testResults
      .flatMap(({ assertionResults }) => assertionResults)
      .filter(({ ancestorTitles: [sink = ""] }) => IS_CONTRACT.test(sink));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function judge(results: readonly Result[]): Outcome {
  const all = new Set(results.map(nameInSuite));
  const figures: Record<string, Figure> = {
    sinks: 0,
    suite_tests: all.size,
    failed: 0,
    missing: 0,
  };
  const faults: string[] = [];
  for (const [sink, { names, groups }] of Object.entries(suites)) {
    const own = results.filter(({ ancestorTitles: [name = ""] }) => names.test(name));
    const passed = new Set(own.filter(({ status }) => status === "passed").map(nameInSuite));
    const notPassed = own.filter(({ status }) => status !== "passed");
    const isAsked = (name: string): boolean => {
      const [group] = name.split(SEPARATOR);
      return !name.includes(SEPARATOR) || groups.includes(group ?? "");
    };
    const missing = [...all].filter(name => isAsked(name) && !passed.has(name));
    figures["sinks"] = Number(figures["sinks"]) + (passed.size > 0 ? 1 : 0);
    figures["failed"] = Number(figures["failed"]) + notPassed.length;
    figures["missing"] = Number(figures["missing"]) + missing.length;
    figures[`tests_${sink}`] = own.length;
    faults.push(...notPassed.map(result => `${sink}: ${nameInSuite(result)}: ${result.status}`));
    faults.push(...missing.map(name => `${sink}: ${name}: not passed`));
  }
  for (const fault of new Set(faults)) progress(`contract: ${fault}`);
  const groups = [OFFSETS, AWAY, PARTLY, REFUSED];
  const isWhole = groups.every(group => [...all].some(name => name.startsWith(group)));
  const isEverySink = figures["sinks"] === Object.keys(suites).length;
  return { ok: faults.length === 0 && isWhole && isEverySink, void: false, figures };
}

const SEPARATOR = " > ";

/** Without the sink that it was run for. */
function nameInSuite({ ancestorTitles, title }: Result): string {
  return [...ancestorTitles.slice(1), title].join(SEPARATOR);
}
