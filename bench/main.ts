/** `npm run bench`: see options.ts for its options, round.ts for what is measured. */
import { ServicesError } from "../tools/services/failure.ts";
import { stopAll } from "../tools/services/services.ts";
import { Failure, Interrupted } from "../tools/demo/failure.ts";
import { CatchUp } from "./catch-up.ts";
import { benchDecode } from "./decode.ts";
import { parseOptions, usage } from "./options.ts";

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (!options) {
    process.stdout.write(usage);
    return;
  }
  const bornAt = performance.now();
  const say = (text: string): void => {
    const seconds = ((performance.now() - bornAt) / 1000).toFixed(1).padStart(6);
    process.stderr.write(`${seconds} s  ${text}\n`);
  };
  const bench = new CatchUp(options, say);
  try {
    const running = options.scenario === "decode" ? benchDecode(options, say) : bench.run();
    const result = await Promise.race([running, interrupted()]);
    if (options.json) {
      process.stdout.write(`${JSON.stringify(result)}\n`);
      return;
    }
    const { scenario, rows, seconds, rows_per_s, cpu_s, peak_rss_mb } = result;
    process.stdout.write(
      `${scenario}: ${rows.toLocaleString("en-US")} row changes in ${seconds} s = ` +
        `${rows_per_s.toLocaleString("en-US")} rows/s, ${cpu_s} s of CPU, ` +
        `${peak_rss_mb} MB at most; from the first message on ${result.streaming_seconds} s\n`,
    );
    if (result.mysqlbinlog_rows_per_s !== undefined) {
      const copied = result.mysqlbinlog_rows_per_s.toLocaleString("en-US");
      process.stdout.write(`mysqlbinlog --raw copied the same binlog at ${copied} rows/s\n`);
    }
  } finally {
    await bench.abandon();
    await stopAll();
  }
}

function interrupted(): Promise<never> {
  return new Promise((_resolve, reject) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, () => reject(new Interrupted(signal)));
    }
  });
}

try {
  await main();
} catch (error) {
  const known = [Failure, ServicesError, Interrupted].some(kind => error instanceof kind);
  const text = error instanceof Error ? (known ? error.message : error.stack) : String(error);
  process.stderr.write(`${(text ?? "").trimEnd()}\n`);
  process.exitCode = error instanceof Interrupted ? error.exitCode : 1;
}
// What was under way when a run was cut short has nothing left to work with.
process.exit();
