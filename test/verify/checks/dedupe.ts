/**
 * Changes of hot rows merged within a window. First at rest: at least as many messages are saved as follows from
 * what was written. Then killed again and again: the consumer ends with what the tables have.
 *
 * A window of a row is opened by its first change and lasts `WINDOW_MS`, so between the first change of a row and
 * its last, which was read before its last message came, there is room for only so many: each gives one message.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../../tools/services/ports.ts";
import { HotConsumer, HotWriter, DATABASE, type Rows } from "../hot-rows.ts";
import type { Outcome } from "../campaign.ts";
import { rounds } from "../options.ts";
import { builtBundle, Product } from "../product.ts";
import { progress } from "../progress.ts";
import { Random } from "../random.ts";
import { cdcUser, withConnection } from "../servers.ts";
import { sleep, until } from "../wait.ts";
import type { CheckContext } from "./check.ts";

const WINDOW_MS = 1_000;
/** A timer may be this early. */
const TIMER_MS = 5;
const WORK_MS = 30_000;
const QUICK_MS = 8_000;
const HOT = 40;
const ROUND = 40;
const CHANGES_MIN = 1_000;
/** Less says nothing about merging. */
const COMPUTED_MIN = 0.3;
const SETTLED_MAX_MS = 120_000;
const QUEUE = "v_dedupe";

const idsFrom = (first: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => first + i);

interface Scene {
  readonly context: CheckContext;
  readonly writer: HotWriter;
  readonly consumer: HotConsumer;
  readonly product: Product;
  readonly dir: string;
  readonly metricsUrl: string;
}

interface Kills {
  readonly kills: number;
  readonly inFlight: number;
}

export async function dedupe(context: CheckContext): Promise<Outcome> {
  const { options, servers, mutant } = context;
  const [mysql, rabbitmq] = [await servers.mysql(), await servers.rabbitmq()];
  const dir = mkdtempSync(join(tmpdir(), "tidemark-verify-dedupe-"));
  const port = await freePort();
  const config = join(dir, "tidemark.yaml");
  const source = { host: mysql.host, port: mysql.port, ...cdcUser, start: "earliest" };
  writeFileSync(config, JSON.stringify(configuration(source, rabbitmq.url, port)));
  const product = new Product({ bundle: builtBundle(mutant), config, dir });
  const consumer = await HotConsumer.open(rabbitmq.url, QUEUE);
  let outcome: Outcome | undefined;
  try {
    outcome = await withConnection(mysql, async connection => {
      const writer = new HotWriter(connection, options.seed);
      const reset = mysql.version === "mysql-8" ? "RESET MASTER" : "RESET BINARY LOGS AND GTIDS";
      await writer.prepare(reset);
      const metricsUrl = `http://127.0.0.1:${port}/metrics`;
      return judged({ context, writer, consumer, product, dir, metricsUrl });
    });
    return outcome;
  } finally {
    if (outcome?.ok !== true) progress(`dedupe: the end of Tidemark's log:\n${product.logTail()}`);
    await product.dispose();
    await consumer.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function judged(scene: Scene): Promise<Outcome> {
  const { product, consumer, writer, context } = scene;
  const saving = await saved(scene);
  progress(`dedupe: ${JSON.stringify(saving)}`);
  const before = writer.written;
  const { kills, inFlight } = await killed(scene);
  const settled = await ended(scene);
  const exit = await product.terminate();
  await consumer.drained();
  const { lost, phantom } = difference(await writer.rows(), consumer.rows);
  const { figures: ofSaving, ok: hasSaved, isVoid } = saving;
  return {
    ok: hasSaved && settled && exit.code === 0 && lost + phantom === 0 && consumer.outOfOrder === 0,
    void: isVoid || inFlight < 0.8 * kills || writer.written - before < CHANGES_MIN,
    figures: {
      seed: context.options.seed,
      ...ofSaving,
      kills,
      kills_in_flight: inFlight,
      ...{ written: writer.written, delivered: consumer.delivered, lost, phantom },
      out_of_order: consumer.outOfOrder,
      peak_rss_mb: product.peakRssMb,
    },
  };
}

/** Without kills: counted, and compared with what the times say. */
async function saved(scene: Scene) {
  const { context, writer, consumer, product, metricsUrl } = scene;
  product.start();
  const beganMs = performance.now();
  const workMs = context.options.quick ? QUICK_MS : WORK_MS;
  while (performance.now() - beganMs < workMs) await writer.change(idsFrom(0, HOT), "updates");
  const settled = await ended(scene);
  let [messages, most] = [0, 0];
  for (const id of writer.changes.keys()) {
    const spanMs = (consumer.lastMs.get(id) ?? 0) - beganMs;
    most += Math.floor(spanMs / (WINDOW_MS - TIMER_MS)) + 1;
    messages += consumer.messages.get(id) ?? 0;
  }
  const merged = await mergedBy(metricsUrl);
  const { written } = writer;
  const figures = {
    saved: written - messages,
    saved_computed: written - most,
    saved_metric: merged,
    saved_share: Math.round(((written - messages) / written) * 1_000) / 1_000,
  };
  return {
    figures,
    ok: settled && messages <= most && merged === written - messages,
    isVoid: written < CHANGES_MIN || written - most < COMPUTED_MIN * written,
  };
}

async function mergedBy(url: string): Promise<number> {
  const page = await (await fetch(url)).text();
  return Number(/^tidemark_rows_merged_total\{[^}]*\} (\d+)$/m.exec(page)?.[1] ?? NaN);
}

/** The rows of a round are not touched again after its kill: what is lost with it stays lost. */
async function killed({ context, writer, product, dir }: Scene): Promise<Kills> {
  const { options } = context;
  const random = new Random(options.seed, "dedupe kills");
  const kills = options.kills ?? rounds(options, 20, 4);
  let inFlight = 0;
  const writing = { round: 0, isOver: false };
  const write = async (): Promise<void> => {
    while (!writing.isOver) {
      const own = idsFrom(1_000 * (writing.round + 1), ROUND);
      await writer.change(random.chance(0.5) ? idsFrom(0, HOT) : own, "all");
    }
  };
  const written = write();
  written.catch(() => undefined);
  for (let kill = 0; kill < kills; kill += 1) {
    await sleep(random.int(20, 3_000));
    const end = await writer.position();
    await product.kill();
    if (isBehind(released(dir), end)) inFlight += 1;
    progress(`dedupe: kill ${kill + 1}, ${writer.written} changes`);
    await sleep(random.int(0, 500));
    writing.round += 1;
    product.start();
  }
  writing.isOver = true;
  await written;
  return { kills, inFlight };
}

interface Place {
  readonly file: string;
  readonly position: number;
}

function released(dir: string): Place {
  return JSON.parse(readFileSync(join(dir, "state", "dedupe.json"), "utf8")) as Place;
}

/** Names of one server's files, which have the same length. */
function isBehind(one: Place, other: Place): boolean {
  return one.file === other.file ? one.position < other.position : one.file < other.file;
}

/** Everything has arrived, and nothing is held or on its way any more. */
async function ended({ writer, consumer, dir }: Scene): Promise<boolean> {
  const rows = await writer.rows();
  const end = await writer.position();
  const isThere = async (): Promise<boolean> => {
    await consumer.drained();
    const { lost, phantom } = difference(rows, consumer.rows);
    return lost + phantom === 0 && !isBehind(released(dir), end);
  };
  const what = "the consumer has what the tables have";
  return until(isThere, { what, timeoutMs: SETTLED_MAX_MS, intervalMs: 200 }).then(
    () => true,
    () => false,
  );
}

function difference(tables: Rows, consumer: Rows): { lost: number; phantom: number } {
  const lost = [...tables].filter(([key, row]) => consumer.get(key) !== row).length;
  const phantom = [...consumer.keys()].filter(key => !tables.has(key)).length;
  return { lost, phantom };
}

function configuration(source: object, url: string, port: number): object {
  return {
    source,
    http: { port },
    pipelines: [
      {
        name: "dedupe",
        tables: [`${DATABASE}.*`],
        format: { type: "row-events", heartbeat_ms: 0 },
        dedupe: { window_ms: WINDOW_MS },
        sink: { type: "rabbitmq", url, routing_key: QUEUE },
        commit_log: { type: "file", dir: "state" },
      },
    ],
  };
}
