/**
 * How fast Tidemark feeds an endpoint that answers at once, beside a bare loop of undici that sends such
 * requests, signed, with as many in flight. Both are measured at the endpoint, in turn, once they are
 * warm; what one round says is taken together, since the machine may be slower in the next.
 */
import { createHmac } from "node:crypto";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Pool } from "undici";
import type { Mysql } from "../../../tools/services/services.ts";
import type { Outcome } from "../campaign.ts";
import { builtBundle, Product } from "../product.ts";
import { progress } from "../progress.ts";
import { cdcUser, withConnection } from "../servers.ts";
import type { CheckContext } from "./check.ts";
import { median } from "../../../bench/round.ts";
import { fillOrders } from "./rates-rows.ts";

const IN_FLIGHT = 32;
const SHARE_MIN = 0.8;
/** Messages before anything is measured. */
const WARM_SHARE = 0.4;
const DATABASE = "v_webhook_rates";
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/** About what a message of these tables takes. */
const BODY = Buffer.from(JSON.stringify({ before: null, after: "x".repeat(500) }));

/** `WARM TOTAL`: prints its port, and then how many milliseconds it took from one to the other. */
const receiver = `
  const [warm, total] = process.argv.slice(1).map(Number);
  let count = 0, beganMs = 0;
  const server = require("node:http").createServer((request, response) => {
    request.resume();
    request.on("end", () => {
      response.writeHead(204).end();
      count += 1;
      if (count === warm) beganMs = performance.now();
      if (count === total) console.log(performance.now() - beganMs);
    });
  });
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));
`;

export async function ratesWebhook({ options, servers, mutant }: CheckContext): Promise<Outcome> {
  const mysql = await servers.mysql();
  const messages = options.quick ? 15_000 : 40_000;
  const rounds = options.quick ? 3 : 5;
  const dir = mkdtempSync(join(tmpdir(), "tidemark-verify-webhook-rates-"));
  try {
    await fillOrders(mysql, DATABASE, messages);
    const product: number[] = [];
    const bare: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const place = join(dir, String(round));
      product.push(await rate(messages, url => runProduct(url, { mysql, mutant, dir: place })));
      bare.push(await rate(messages, url => runBare(url, messages)));
      progress(`rates: webhook ${product.at(-1)}/s, bare undici ${bare.at(-1)}/s`);
    }
    const share = median(product.map((perSecond, round) => perSecond / (bare[round] ?? 0)));
    const figures = {
      webhook_messages: messages,
      webhook_per_second: median(product),
      webhook_bare_per_second: median(bare),
      webhook_share: Math.round(share * 100) / 100,
    };
    return { ok: share >= SHARE_MIN, void: false, figures };
  } finally {
    rmSync(dir, { recursive: true, force: true });
    await withConnection(mysql, connection => connection.query(`DROP DATABASE ${DATABASE}`));
  }
}

/** Messages a second that arrive at a new endpoint. `run` is given its URL, and gives what ends it. */
async function rate(
  messages: number,
  run: (url: string) => Promise<() => Promise<void>>,
): Promise<number> {
  const warm = Math.round(messages * WARM_SHARE);
  const args = ["--eval", receiver, String(warm), String(messages)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [port] = (await once(child.stdout, "data")) as [Buffer];
    const arrived = once(child.stdout, "data") as Promise<[Buffer]>;
    const stop = await run(`http://127.0.0.1:${String(port).trim()}/all`);
    const [tookMs] = await arrived;
    await stop();
    return Math.round(((messages - warm) / Number(String(tookMs))) * 1000);
  } finally {
    child.kill("SIGKILL");
  }
}

function runProduct(
  url: string,
  { mysql, mutant, dir }: { mysql: Mysql; mutant: string | undefined; dir: string },
): Promise<() => Promise<void>> {
  mkdirSync(dir);
  const config = join(dir, "tidemark.yaml");
  const { host, port } = mysql;
  const sink = {
    ...{ type: "webhook", routes: [{ id: "all", url, secrets: [SECRET] }] },
    ...{ allow_http: true, allow_private: true, concurrency: IN_FLIGHT },
  };
  writeFileSync(
    config,
    JSON.stringify({
      source: { host, port, ...cdcUser, start: "earliest" },
      pipelines: [{ name: "rates", tables: [`${DATABASE}.*`], sink }],
    }),
  );
  const product = new Product({ bundle: builtBundle(mutant), config, dir });
  product.start();
  return Promise.resolve(() => product.dispose());
}

function runBare(url: string, messages: number): Promise<() => Promise<void>> {
  const { origin, pathname } = new URL(url);
  const pool = new Pool(origin, { connections: IN_FLIGHT, pipelining: 1 });
  let left = messages;
  const key = Buffer.from(SECRET.slice("whsec_".length), "base64");
  const loop = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const id = `6db3edf2-e588-11f1-8730-02fc00000001:7:${DATABASE}.orders:${left}`;
      const timestamp = String(Math.floor(Date.now() / 1000));
      const hmac = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(BODY);
      const headers = {
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": `v1,${hmac.digest("base64")}`,
      };
      const request = { path: pathname, method: "POST" as const, headers, body: BODY };
      const { body } = await pool.request(request);
      await body.dump();
    }
  };
  const loops = Promise.all(Array.from({ length: IN_FLIGHT }, loop));
  return Promise.resolve(async () => {
    await loops;
    await pool.close();
  });
}
