/**
 * What /ready and the metric say when something real breaks: MySQL in a black hole, a broker that is gone,
 * one partition without a leader. False within 15 s with the cause named, true within 15 s of the end.
 */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createConnection, type Connection } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Kafka, Mysql } from "../../tools/services/interfaces.ts";
import { freePort } from "../../tools/services/ports.ts";
import { startKafka, startMysql, stopAll } from "../../tools/services/services.ts";
import { startProxy, type Proxy } from "../../tools/services/tcp-proxy.ts";
import { Observer } from "../kafka/support.ts";
import { buildBundle } from "../support/bundle.ts";
import { blames, Probe, type Seen } from "../verify/probe.ts";
import { Product } from "../verify/product.ts";

const WITHIN_MS = 15_000;

let mysql: Mysql;
let kafka: Kafka;
let proxy: Proxy;
let product: Product;
let probe: Probe;
let writer: Connection;
let url = "";
let writing = true;
let written: Promise<void>;

beforeAll(async () => {
  [mysql, kafka] = await Promise.all([
    startMysql("mysql-9"),
    startKafka({ brokers: 3, properties: { "controlled.shutdown.enable": "true" } }),
  ]);
  proxy = await startProxy(mysql);
  writer = await createConnection({ host: mysql.host, port: mysql.port, user: "root" });
  await writer.query("CREATE DATABASE shop");
  await writer.query("CREATE TABLE shop.orders (id BIGINT PRIMARY KEY AUTO_INCREMENT, v INT)");
  const observer = new Observer(kafka.brokers);
  // One replica: without its broker a partition has no leader.
  const signal = new AbortController().signal;
  const create = { partitions: 3, replicationFactor: 1, config: { "min.insync.replicas": "1" } };
  await observer.topics.ensure("shop.orders", create, signal);
  observer.close();
  const dir = mkdtempSync(join(tmpdir(), "tidemark-health-"));
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  probe = new Probe(url);
  const config = join(dir, "tidemark.yaml");
  writeFileSync(
    config,
    JSON.stringify({
      source: { host: proxy.host, port: proxy.port, user: "root", tls: { mode: "disabled" } },
      pipelines: [
        {
          name: "shop",
          tables: ["shop.*"],
          sink: { type: "kafka", brokers: kafka.brokers },
          commit_log: { type: "file", dir: join(dir, "state") },
        },
      ],
      http: { port },
    }),
  );
  product = new Product({ bundle: buildBundle(), config, dir });
  product.start();
  written = write();
});

afterAll(async () => {
  writing = false;
  await written;
  await product.dispose();
  writer.destroy();
  await proxy.close();
  await stopAll();
});

async function write(): Promise<void> {
  while (writing) {
    await writer.query("INSERT INTO shop.orders (v) VALUES (1), (2), (3), (4), (5), (6)");
    await sleep(50);
  }
}

/** How long it took until `isSo`; fails, with what was seen, when it takes too long. */
function until(isSo: (seen: Seen) => boolean, withinMs = WITHIN_MS): Promise<number> {
  return probe.until(isSo, withinMs).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${product.logTail(10)}`);
  });
}

const figures: Record<string, number> = {};

describe("/ready", () => {
  test("turns true after the start", async () => {
    await until(seen => seen.ready, 60_000);
  });

  test("is false while MySQL is in a black hole, and says so", async () => {
    proxy.blackhole(true);
    figures["mysql_false_ms"] = await until(blames("mysql"));
    await sleep(15_000); // Past the point where the connection is given up and made again.
    expect(blames("mysql")(await probe.look())).toBe(true);
    proxy.blackhole(false);
    figures["mysql_true_ms"] = await until(seen => seen.ready);
  });

  test("is false while one partition has no leader, and names it", async () => {
    const node = kafka.nodes[1];
    await node?.stop();
    figures["partition_false_ms"] = await until(
      seen =>
        blames("partition", "broker")(seen) &&
        seen.waiting.some(line => /topic="shop.orders",partition="\d"/.test(line)),
    );
    expect((await probe.look()).causes).toMatch(/shop\.orders, partition \d/);
    await node?.start();
    figures["partition_true_ms"] = await until(seen => seen.ready);
  });

  test("is false while the brokers are stopped in their tracks, and says so", async () => {
    for (const node of kafka.nodes) node.kill("SIGSTOP");
    figures["frozen_false_ms"] = await until(blames("broker"));
    for (const node of kafka.nodes) node.kill("SIGCONT");
    figures["frozen_true_ms"] = await until(seen => seen.ready);
  });

  test("is false while no broker runs, and says so", async () => {
    for (const node of kafka.nodes) node.kill("SIGKILL");
    figures["gone_false_ms"] = await until(blames("broker"));
    await Promise.all(kafka.nodes.map(node => node.start()));
    figures["gone_true_ms"] = await until(seen => seen.ready);
    console.log(JSON.stringify(figures));
  });

  test("is false as soon as a stop is asked for, and the server is gone with the process", async () => {
    const { code } = await product.terminate();
    expect(code).toBe(0);
    await expect(fetch(`${url}/live`)).rejects.toThrow();
  });
});
