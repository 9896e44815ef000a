/** `npm run demo`: see options.ts for its options and demo.ts for its story. */
import { keptFolder } from "../services/keeper.ts";
import { ServicesError } from "../services/failure.ts";
import { startKafka, startMysql, stopAll } from "../services/services.ts";
import { Demo, type Result, type Stage } from "./demo.ts";
import { FileDestination, KafkaDestination, type Destination } from "./destination.ts";
import { briefly, Failure, Interrupted } from "./failure.ts";
import { parseOptions, usage, type DemoOptions } from "./options.ts";
import { failures, holds, summary } from "./summary.ts";
import { builtBundle } from "./tidemark.ts";
import { LiveView, PlainView, type View } from "./view.ts";

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (!options) {
    process.stdout.write(usage);
    return 0;
  }
  const view = viewFor(options);
  const interruption = interrupted();
  let demo: Demo | undefined;
  try {
    const play = async (): Promise<Result> => {
      const stage = await setUp(options, view);
      demo = new Demo(stage, options, view);
      return demo.run();
    };
    const result = await Promise.race([play(), interruption]);
    report(result, options);
    return holds(result) ? 0 : 1;
  } finally {
    view.close();
    await demo?.abandon().catch(() => undefined);
    await stopAll();
  }
}

/** Servers and build at the same time: the first start is mostly waiting for downloads. */
async function setUp(options: DemoOptions, view: View): Promise<Stage> {
  const say = view.say.bind(view);
  say(`starting ${options.mysql}${options.target === "kafka" ? " and Kafka" : ""}`);
  const folder = keptFolder("demo");
  const parts = await Promise.allSettled([
    startMysql(options.mysql).catch(asFailure(`${options.mysql} cannot be started here`)),
    destinationFor(options, folder, say),
    builtBundle(say).catch(asFailure("Tidemark cannot be built")),
  ]);
  const [mysql, destination, bundle] = parts;
  for (const part of parts) if (part.status === "rejected") throw part.reason;
  if (mysql.status !== "fulfilled" || destination.status !== "fulfilled") throw new Error();
  if (bundle.status !== "fulfilled") throw new Error();
  say(`${options.mysql} answers on port ${mysql.value.port}`);
  return { mysql: mysql.value, destination: destination.value, bundle: bundle.value, folder };
}

function asFailure(what: string): (error: unknown) => never {
  return error => {
    throw new Failure(`${what} (${briefly(error)}).`, { cause: error });
  };
}

async function destinationFor(
  options: DemoOptions,
  folder: string,
  say: (text: string) => void,
): Promise<Destination> {
  if (options.target === "file") return new FileDestination(folder);
  try {
    const { brokers } = await startKafka();
    return new KafkaDestination(brokers);
  } catch (error) {
    if (!(error instanceof ServicesError)) throw error;
    say(`No Kafka can be had here (${briefly(error)}), so the changes go to a file instead.`);
    return new FileDestination(folder);
  }
}

function viewFor({ json }: DemoOptions): View {
  if (json) return new PlainView(process.stderr);
  const isDumb = process.env["TERM"] === "dumb";
  if (!process.stdout.isTTY || isDumb) return new PlainView(process.stdout);
  return new LiveView(process.stdout, (process.env["NO_COLOR"] ?? "") === "");
}

function report(result: Result, { json }: DemoOptions): void {
  const { examples, ...figures } = result;
  if (json) {
    for (const example of examples) process.stderr.write(`${example}\n`);
    for (const failure of failures(result)) process.stderr.write(`${failure}\n`);
    process.stdout.write(`${JSON.stringify(figures)}\n`);
    return;
  }
  process.stdout.write(`\n${summary(result).join("\n")}\n`);
}

/** Rejects with the first signal. Later ones change nothing: everything is being ended already. */
function interrupted(): Promise<never> {
  return new Promise((_resolve, reject) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, () => reject(new Interrupted(signal)));
    }
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  const known = [Failure, ServicesError, Interrupted].some(kind => error instanceof kind);
  const text = error instanceof Error ? (known ? error.message : error.stack) : String(error);
  process.stderr.write(`\n${(text ?? "").trimEnd()}\n`);
  process.exitCode = error instanceof Interrupted ? error.exitCode : 1;
}
// What was under way when a run was cut short has nothing left to work with.
process.exit();
