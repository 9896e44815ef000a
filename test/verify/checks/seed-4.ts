/**
 * examples/webhooks.yaml, as whoever used pikachu would run it: the request of its README to the letter, the
 * routes by table and event, signatures, /health; one row that its endpoint refuses more often than pikachu
 * would have tried, and Tidemark killed and started again: everything arrives, each row in order.
 */
import { Webhook } from "standardwebhooks";
import { freePort } from "../../../tools/services/ports.ts";
import { WebhookServer, type Received } from "../../support/webhook-server.ts";
import type { Figure, Outcome } from "../campaign.ts";
import { rounds } from "../options.ts";
import { progress } from "../progress.ts";
import { Random } from "../random.ts";
import { compare, push, type Arrived } from "../seeds/compare.ts";
import { withExample, type Example } from "../seeds/example.ts";
import { anyText, byKey, counted, Hand, type Change, type Table } from "../seeds/hand.ts";
import { sleep, until } from "../wait.ts";
import type { CheckContext } from "./check.ts";

const CHANGES = 6_000;
const PATIENCE_MS = 120_000;
/** Several times as long as between two writes of the commit log. */
const STALLED_MS = 1_000;
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const USERS = "/webhook/user";
const ORDERS = "/webhook/order";
/** pikachu gives up after three repeats. */
const REFUSED_TIMES = 5;
const REFUSED_ID = 7;

const users: Table = {
  name: "users",
  columns: ["id", "name", "email"],
  value: (_, random) => anyText(random),
};
const orders: Table = {
  name: "orders",
  columns: ["id", "user_id", "amount", "note"],
  value: (column, random) => {
    if (column === "note") return anyText(random);
    return column === "user_id" ? random.int(1, 9) : `${random.int(0, 999)}.${random.int(10, 99)}`;
  },
};
const tables = [
  "CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(50), email VARCHAR(50))",
  "CREATE TABLE orders (id BIGINT PRIMARY KEY, user_id INT, amount DECIMAL(8, 2), note TEXT)",
  "CREATE TABLE carts (id INT PRIMARY KEY)",
];

/** As the README of pikachu shows it, and the moment in it. */
const THEN_S = 1_672_574_400;
const THEN = "2023-01-01T12:00:00Z";
const john = { id: 1, name: "John Doe", email: "john@example.com" };
const shownMessages = [
  { primary_id: 1, event: "insert", table: "users", data: john, timestamp: THEN },
  {
    ...{ primary_id: 1, event: "update", table: "users", old_data: john },
    ...{ new_data: { ...john, name: "Jane Doe" }, timestamp: THEN },
  },
  {
    ...{ primary_id: 1, event: "delete", table: "users" },
    ...{ data: { ...john, name: "Jane Doe" }, timestamp: THEN },
  },
];
const shown = [
  `INSERT INTO users VALUES (1, 'John Doe', 'john@example.com')`,
  `UPDATE users SET name = 'Jane Doe' WHERE id = 1`,
  `DELETE FROM users WHERE id = 1`,
];
/** Tried again and again, and in order; nobody asked for what happens to carts. */
const refusedMessages = [
  { event: "insert", data: { id: REFUSED_ID, name: "a", email: null } },
  {
    event: "update",
    old_data: { id: REFUSED_ID, name: "a", email: null },
    new_data: { id: REFUSED_ID, name: "b", email: null },
  },
].map(({ event, ...data }) => ({
  ...{ primary_id: REFUSED_ID, event, table: "users", ...data, timestamp: THEN },
}));
const refused = [
  `INSERT INTO carts VALUES (1)`,
  `INSERT INTO users VALUES (${REFUSED_ID}, 'a', NULL)`,
  `UPDATE users SET name = 'b' WHERE id = ${REFUSED_ID}`,
];

export async function seed4({ options, servers }: CheckContext): Promise<Outcome> {
  const mysql = await servers.mysql();
  const server = await WebhookServer.start();
  const port = await freePort();
  let left = REFUSED_TIMES;
  const gate = { isHeld: false };
  server.behave = ({ body }, response) => {
    if (gate.isHeld) return;
    const isRefused = body.startsWith(`{"primary_id":${REFUSED_ID},`) && left > 0;
    if (isRefused) left -= 1;
    response.writeHead(isRefused ? 500 : 204).end();
  };
  const place = new URL(server.url).origin;
  const environment = {
    ...{ USER_WEBHOOK: `${place}${USERS}`, ORDER_WEBHOOK: `${place}${ORDERS}` },
    ...{ WEBHOOK_SECRET: SECRET, WEBHOOK_LOCAL: "true", HTTP_PORT: String(port) },
  };
  try {
    return await withExample({ name: "webhooks", mysql, environment, tables }, async example => {
      const { connection, product } = example;
      product.start();
      await example.started();
      await connection.query(`SET timestamp = ${THEN_S}`);
      for (const statement of [...shown, ...refused]) await connection.query(statement);
      await connection.query("SET timestamp = DEFAULT");
      const random = new Random(options.seed, "seed-4");
      const hand = new Hand({ connection, tables: [users, orders], random, firstId: 10_000 });
      const inFlight = await killed(example, hand, {
        server,
        gate,
        changes: rounds(options, CHANGES, 1_200),
      });
      const expected = expectedOf(hand.changes);
      await until(() => arrivedOf(server.taken).distinct >= sizeOf(expected), {
        what: "everything arrives",
        timeoutMs: PATIENCE_MS,
        intervalMs: 500,
      });
      await until(() => isHealthy(port), { what: "/health says UP", timeoutMs: PATIENCE_MS });
      const { code } = await product.terminate();
      return verdict({
        ...{ expected, hand, inFlight, exit: code, seed: options.seed },
        ...{ server, refusals: REFUSED_TIMES - left },
      });
    });
  } finally {
    await server.stop();
  }
}

interface Work {
  readonly server: WebhookServer;
  /** Held, it answers nobody any more. */
  readonly gate: { isHeld: boolean };
  readonly changes: number;
}

/** @returns messages that were not yet taken when it was killed, while all goes on being written. */
async function killed(
  { product }: Example,
  hand: Hand,
  { server, gate, changes }: Work,
): Promise<number> {
  const half = Math.ceil(changes / 2);
  const first = hand.write(half);
  await until(() => server.taken.length > half / 2, {
    what: "requests arrive",
    timeoutMs: PATIENCE_MS,
    intervalMs: 5,
  });
  // What nobody has taken must not be in the commit log, however long it takes.
  gate.isHeld = true;
  await sleep(STALLED_MS);
  await product.kill();
  gate.isHeld = false;
  const inFlight = sizeOf(expectedOf(hand.changes)) - arrivedOf(server.taken).distinct;
  progress(`seed-4: killed with ${inFlight} messages on their way`);
  // What is written meanwhile must not be missing.
  await first;
  product.start();
  await hand.write(changes - half);
  return inFlight;
}

function laneOf(path: string, id: unknown): string {
  return `${path} ${String(id)}`;
}

/** By route and row. The route of orders asked for no deletes. */
function expectedOf(changes: readonly Change[]): ReadonlyMap<string, readonly string[]> {
  const lanes = new Map<string, string[]>();
  for (const message of [...shownMessages, ...refusedMessages]) {
    push(lanes, laneOf(USERS, message.primary_id), JSON.stringify(message));
  }
  for (const change of changes) {
    const path = change.table === "users" ? USERS : ORDERS;
    if (path === ORDERS && change.kind === "delete") continue;
    // Both halves of a changed key belong to an update.
    for (const half of byKey(change)) push(lanes, ...messageOf(path, half));
  }
  return lanes;
}

function messageOf(path: string, change: Change): [lane: string, text: string] {
  const { kind, table } = change;
  const row = kind === "insert" ? change.after : change.before;
  const data =
    kind === "update" ? { old_data: change.before, new_data: change.after } : { data: row };
  const head = { primary_id: row["id"], event: kind, table };
  return [laneOf(path, row["id"]), JSON.stringify({ ...head, ...data, timestamp: "" })];
}

function sizeOf(lanes: ReadonlyMap<string, readonly string[]>): number {
  return Array.from(lanes.values(), ({ length }) => length).reduce((sum, next) => sum + next, 0);
}

interface Taken {
  readonly messages: readonly Arrived[];
  readonly kinds: readonly string[];
  readonly distinct: number;
  /** The moment in it is one at which the check wrote. */
  readonly timesSound: boolean;
}

function arrivedOf(taken: readonly Received[]): Taken {
  let timesSound = true;
  const kinds: string[] = [];
  const messages = taken.map(({ path, headers, body }) => {
    const message = JSON.parse(body) as {
      primary_id: number;
      event: string;
      table: string;
      timestamp: string;
    };
    kinds.push(`${message.table}.${message.event}`);
    if (message.timestamp !== THEN) {
      const ageMs = Date.now() - Date.parse(message.timestamp);
      const isIso = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(message.timestamp);
      timesSound &&= isIso && ageMs > -1_000 && ageMs < 3_600_000;
      message.timestamp = "";
    }
    const id = `${path} ${String(headers["webhook-id"])}`;
    return { lane: laneOf(path, message.primary_id), id, text: JSON.stringify(message) };
  });
  return { messages, kinds, timesSound, distinct: new Set(messages.map(({ id }) => id)).size };
}

/** Those of the request when it was sent; the receiver looks at it later. */
function isSigned({ headers, body }: Received): boolean {
  const at = new Date(Number(headers["webhook-timestamp"]) * 1000);
  const signature = new Webhook(SECRET).sign(String(headers["webhook-id"]), at, body);
  return headers["webhook-signature"] === signature;
}

const HEALTH = [
  ...["status", "monitor_running", "dispatcher_running", "event_queue_size", "last_event_time"],
];

async function isHealthy(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/health`);
  const report = (await response.json()) as Record<string, unknown>;
  return response.ok && report["status"] === "UP" && HEALTH.every(name => name in report);
}

interface Facts {
  readonly expected: ReadonlyMap<string, readonly string[]>;
  readonly hand: Hand;
  readonly server: WebhookServer;
  readonly inFlight: number;
  readonly refusals: number;
  readonly exit: number | null;
  readonly seed: number;
}

function verdict(facts: Facts): Outcome {
  const { expected, hand, server, inFlight, refusals, exit, seed } = facts;
  const { messages, kinds, timesSound } = arrivedOf(server.taken);
  const { firstDifference, ...figures } = compare(expected, messages);
  if (firstDifference !== undefined) progress(`seed-4: ${firstDifference}`);
  const unsigned = server.taken.filter(request => !isSigned(request)).length;
  const changes = hand.changes.flatMap(byKey);
  const readme = shown.length + refused.length;
  const all: Record<string, Figure> = {
    seed,
    written:
      `${counted(
        "changes",
        changes.map(({ table, kind }) => `${table}.${kind}`),
      )}; ` + `${readme} by hand; ${hand.rolledBack} rolled back`,
    arrived: counted("requests taken", kinds),
    kills_in_flight: inFlight > 0 ? 1 : 0,
    ...{ lost: figures.lost, wrong: figures.wrong, out_of_order: figures.outOfOrder },
    repeated: figures.repeated,
    ...{ refusals, unsigned, times_sound: timesSound, exit_code: exit },
  };
  const conditions = [
    figures.lost + figures.wrong + figures.outOfOrder === 0,
    refusals === REFUSED_TIMES,
    unsigned === 0,
    timesSound,
    exit === 0,
  ];
  return {
    ok: conditions.every(Boolean),
    void: inFlight <= 0 || changes.length < 1_000,
    figures: all,
  };
}
