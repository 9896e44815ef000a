/**
 * One route to each kind of endpoint that misbehaves, and one to an endpoint in order: that one is served
 * as if nothing were, no redirect is followed, no address is asked that may not be, and what each endpoint
 * was to get arrives when it is mended. In the end one says that it is gone, which stops the pipeline.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Mysql } from "../../../tools/services/services.ts";
import {
  gone,
  HostileEndpoint,
  mended,
  misbehaviours,
  type Misbehaviour,
} from "../../support/hostile-endpoint.ts";
import { WebhookServer } from "../../support/webhook-server.ts";
import type { Figure, Outcome } from "../campaign.ts";
import { builtBundle, Product } from "../product.ts";
import { cdcUser, withConnection } from "../servers.ts";
import { until } from "../wait.ts";
import type { CheckContext } from "./check.ts";

const DATABASE = "v_hostile_endpoints";
const ROWS = 200;
const SERVED_MAX_MS = 10_000;
const EXIT_REFUSED = 65;
const preload = fileURLToPath(new URL("../changing-dns.mjs", import.meta.url));

/** An endpoint with a table of its own. */
interface Victim {
  readonly table: string;
  readonly name: string;
  readonly endpoint: HostileEndpoint;
  readonly url: string;
  /** Requests that it took once it was mended. */
  taken: number;
}

export async function hostileEndpoints({ servers, options }: CheckContext): Promise<Outcome> {
  const mysql = await servers.mysql();
  const dir = mkdtempSync(join(tmpdir(), "tidemark-verify-hostile-"));
  const good = await WebhookServer.start();
  const victims = await startVictims();
  const hanging = await HostileEndpoint.start(misbehaviours["no answer"]);
  const config = join(dir, "tidemark.yaml");
  const tls = `https://127.0.0.1:${hanging.port}/`;
  writeFileSync(config, JSON.stringify(configuration(mysql, { good: good.url, tls, victims })));
  const product = new Product({ bundle: builtBundle(undefined), config, dir, preload });
  try {
    const tables = ["good", "tls", ...victims.map(({ table }) => table)];
    await makeTables(mysql, tables);
    product.start();
    await insert(mysql, tables.slice(1), 1);
    const beganMs = performance.now();
    for (let id = 0; id < ROWS; id += 1) await insert(mysql, ["good"], id);
    await until(() => good.taken.length === ROWS, {
      what: "the endpoint in order gets everything",
      timeoutMs: 60_000,
    });
    const servedMs = Math.round(performance.now() - beganMs);
    await until(() => [...victims, { endpoint: hanging }].every(isTriedAgain), {
      what: "every endpoint is tried again",
      timeoutMs: 60_000,
    });
    for (const victim of victims) victim.endpoint.act = counting(victim);
    await until(() => victims.every(({ taken }) => taken > 0), {
      what: `mended, each gets its row: ${victims.map(({ name, taken }) => `${name} ${taken}`).join()}`,
      timeoutMs: 60_000,
    });
    // Its name leads elsewhere by now, and back again a little later.
    const changing = victims.find(({ table }) => table === "changing") as Victim;
    await insert(mysql, ["changing"], 2);
    await until(() => changing.taken > 1, { what: "the name leads back", timeoutMs: 60_000 });
    const log = readFileSync(product.logFile, "utf8");
    changing.endpoint.act = gone;
    await insert(mysql, ["changing"], 3);
    const exit = await product.exit();
    const figures: Record<string, Figure> = {
      seed: options.seed,
      kinds: victims.length + 1,
      served_ms: servedMs,
      name_refused: /changing\.test leads to 169\.254\.169\.254/.test(log),
      exit: exit.code,
      peak_rss_mb: product.peakRssMb,
    };
    const ok =
      servedMs < SERVED_MAX_MS && figures["name_refused"] === true && exit.code === EXIT_REFUSED;
    return { ok, void: false, figures };
  } finally {
    await product.dispose();
    await Promise.all([good, hanging, ...victims.map(({ endpoint }) => endpoint)].map(stop));
    rmSync(dir, { recursive: true, force: true });
    await withConnection(mysql, connection => connection.query(`DROP DATABASE ${DATABASE}`));
  }
}

const stop = (server: { stop(): Promise<void> }): Promise<void> => server.stop();

function isTriedAgain({ endpoint }: { endpoint: HostileEndpoint }): boolean {
  return endpoint.connections > 1;
}

async function startVictims(): Promise<Victim[]> {
  const kinds: [string, Misbehaviour][] = Object.entries(misbehaviours);
  const named = kinds.map(([name, act], index) => ({ table: `t${index}`, name, act }));
  named.push({ table: "changing", name: "a name that leads elsewhere", act: resets });
  return Promise.all(
    named.map(async ({ table, name, act }) => {
      const endpoint = await HostileEndpoint.start(act);
      const host = table === "changing" ? "changing.test" : "127.0.0.1";
      return { table, name, endpoint, url: `http://${host}:${endpoint.port}/`, taken: 0 };
    }),
  );
}

const resets = misbehaviours["reset at once"];

function counting(victim: Victim): Misbehaviour {
  return socket => {
    socket.once("data", () => (victim.taken += 1));
    mended(socket);
  };
}

function configuration(
  mysql: Mysql,
  { good, tls, victims }: { good: string; tls: string; victims: readonly Victim[] },
): object {
  const { host, port } = mysql;
  const places = [{ table: "good", url: good }, { table: "tls", url: tls }, ...victims];
  return {
    source: { host, port, ...cdcUser, start: "earliest" },
    pipelines: [
      {
        name: "hostile",
        tables: [`${DATABASE}.*`],
        sink: {
          type: "webhook",
          routes: places.map(({ table, url }) => ({
            ...{ id: table, url },
            tables: [`${DATABASE}.${table}`],
          })),
          ...{ allow_http: true, allow_private: true, timeout_ms: 1_000 },
        },
        commit_log: { type: "file", dir: "state" },
      },
    ],
  };
}

async function makeTables(mysql: Mysql, tables: readonly string[]): Promise<void> {
  await withConnection(mysql, async connection => {
    await connection.query(`DROP DATABASE IF EXISTS ${DATABASE}`);
    await connection.query(`CREATE DATABASE ${DATABASE}`);
    for (const table of tables) {
      await connection.query(`CREATE TABLE ${DATABASE}.${table} (id INT NOT NULL PRIMARY KEY)`);
    }
  });
}

async function insert(mysql: Mysql, tables: readonly string[], id: number): Promise<void> {
  await withConnection(mysql, async connection => {
    for (const table of tables) {
      await connection.query(`INSERT INTO ${DATABASE}.${table} VALUES (?)`, [id]);
    }
  });
}
