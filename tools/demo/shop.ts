/**
 * A shop that keeps writing, in every way that makes a row change hard to carry.
 *
 *   front desk   small transactions: orders come, are paid, cancelled and taken again; products get new
 *                numbers; some transactions are rolled back, whole or to a savepoint; a column is added
 *                and a table made out of another while all of this goes on
 *   warehouse    up to 5,000 rows in one transaction
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "mysql2/promise";
import type { MysqlVersion } from "../services/interfaces.ts";
import type { Ledger } from "./ledger.ts";
import { between, pick, seededRandom, type Random } from "./random.ts";
import * as shop from "./tables.ts";
import { Till, type Values } from "./till.ts";

export interface ShopOptions {
  readonly connect: () => Promise<Connection>;
  readonly version: MysqlVersion;
  readonly ledger: Ledger;
  readonly seconds: number;
  readonly seed: number;
  /** Told of what a person may want to know. */
  readonly say: (text: string) => void;
}

const FRONT_DESK_PAUSE_MS = 8;
const WAREHOUSE_PAUSE_MS = 900;
const BULK_ROWS = { least: 500, most: 5_000 } as const;
/** Orders of the warehouse begin here, and end where there are enough of them. */
const BULK_FIRST_ID = 1_000_000_000;
const BULK_KEPT_MAX = 12_000;

const customers = [
  "Ada",
  "Bjørn",
  "Chloé",
  "Đorđe",
  "Emre",
  "Fatoumata",
  "李雷",
  "O'Neil",
  "Ñandú",
];
const goods = ["lantern", "rope", "compass", "sextant", "anchor", "oilskin", "barometer", "chart"];
const statuses = ["new", "paid", "shipped", "returned"];

export class Shop {
  /** Resolve at the warehouse's next commit. */
  #bulkListeners: ((rows: number) => void)[] = [];
  readonly #options: ShopOptions;
  readonly #random: Random;
  #hasGift = false;
  #lastOrder = 0;
  #lastSku = 0;
  #lastBulk = BULK_FIRST_ID;

  constructor(options: ShopOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
  }

  /** Makes the tables. */
  static async furnish(connection: Connection): Promise<void> {
    await connection.query(`CREATE DATABASE ${shop.database} CHARACTER SET utf8mb4`);
    await connection.query(`USE ${shop.database}`);
    for (const { definition } of shop.tables) if (definition) await connection.query(definition);
  }

  /** Resolves with the number of rows when the warehouse has committed its next transaction. */
  nextBulk(): Promise<number> {
    return new Promise(resolve => this.#bulkListeners.push(resolve));
  }

  /** Opens the doors, and closes them after `seconds`. */
  async run(): Promise<void> {
    const { connect, ledger, seconds } = this.#options;
    const opensAt = performance.now();
    const elapsed = (): number => (performance.now() - opensAt) / 1000 / seconds;
    const [desk, warehouse] = [await Till.open(connect, ledger), await Till.open(connect, ledger)];
    try {
      await Promise.all([this.#runDesk(desk, elapsed), this.#runWarehouse(warehouse, elapsed)]);
    } finally {
      await Promise.allSettled([desk.close(), warehouse.close()]);
    }
  }

  async #runDesk(till: Till, elapsed: () => number): Promise<void> {
    const { say, version } = this.#options;
    const surprises: readonly [at: number, happen: () => Promise<void>][] = [
      [0.2, () => this.#regret(till)],
      [0.3, () => this.#addColumn(till)],
      [0.65, () => this.#copyTable(till, version)],
    ];
    let next = 0;
    await till.transaction(() => this.#newProducts(till, 40));
    say("the shop is open: orders come and go, products are renamed");
    while (elapsed() < 1) {
      const [at = 1, happen] = surprises[next] ?? [];
      if (happen && elapsed() >= at) {
        next += 1;
        await happen();
      }
      await this.#serve(till);
      await sleep(FRONT_DESK_PAUSE_MS);
    }
  }

  /** One transaction of the front desk. */
  async #serve(till: Till): Promise<void> {
    const dice = this.#random();
    if (dice < 0.06) await till.rolledBack(() => this.#someWork(till));
    else if (dice < 0.14) {
      await till.transaction(async () => {
        await this.#newOrder(till);
        await till.takenBack(() => this.#someWork(till));
        await this.#someWork(till);
      });
    } else await till.transaction(() => this.#someWork(till));
  }

  async #someWork(till: Till): Promise<void> {
    const dice = this.#random();
    if (till.shelf.count(shop.orders) < 20 || dice < 0.35) await this.#newOrder(till);
    else if (dice < 0.6) await this.#payOrder(till);
    else if (dice < 0.75) await this.#cancelOrder(till);
    else if (dice < 0.85) await this.#renameProduct(till);
    else if (dice < 0.92) await this.#moveLine(till);
    else await this.#reviseBest(till);
  }

  async #newOrder(till: Till, id = (this.#lastOrder += 1)): Promise<void> {
    const order = { key: [id], values: this.#orderValues() };
    await till.insert(shop.orders, [order]);
    const lines = Array.from({ length: between(this.#random, 1, 5) }, (_, line) => ({
      key: [id, line + 1],
      values: {
        product: pick(this.#random, goods),
        quantity: between(this.#random, 1, 12),
        price: money(this.#random, 900),
      },
    }));
    // A cancelled order that is taken again may find a line that was moved to it meanwhile.
    const missing = lines.filter(({ key }) => !till.shelf.has(shop.orderLines, key));
    if (missing.length > 0) await till.insert(shop.orderLines, missing);
  }

  async #payOrder(till: Till): Promise<void> {
    const order = till.shelf.random(shop.orders, this.#random);
    const product = till.shelf.random(shop.products, this.#random);
    if (!order || !product) return;
    await till.update(shop.orders, [order], { status: "paid", note: this.#note() });
    await till.update(shop.products, [product], { stock: between(this.#random, -5, 500) });
  }

  /** Half of the cancelled orders come back at once: the same key, used again. */
  async #cancelOrder(till: Till): Promise<void> {
    const order = till.shelf.random(shop.orders, this.#random);
    if (!order) return;
    const [id] = order;
    const lines = [1, 2, 3, 4, 5].map(line => [Number(id), line]);
    const there = lines.filter(key => till.shelf.has(shop.orderLines, key));
    if (there.length > 0) await till.delete(shop.orderLines, there);
    await till.delete(shop.orders, [order]);
    if (this.#random() < 0.5) await this.#newOrder(till, Number(id));
  }

  async #newProducts(till: Till, count: number): Promise<void> {
    const products = Array.from({ length: count }, () => ({
      key: [this.#newSku()],
      values: {
        name: `${pick(this.#random, goods)} “${pick(this.#random, customers)}”`,
        stock: between(this.#random, 0, 500),
        weight: this.#random() < 0.2 ? null : between(this.#random, 1, 800) / 8,
        barcode: Buffer.from(Array.from({ length: 8 }, () => between(this.#random, 0, 255))),
      },
    }));
    await till.insert(shop.products, products);
  }

  async #renameProduct(till: Till): Promise<void> {
    const product = till.shelf.random(shop.products, this.#random);
    if (product) await till.rekey(shop.products, product, [this.#newSku()]);
  }

  /** To a line number that no order begins with, and that was never used. */
  async #moveLine(till: Till): Promise<void> {
    const line = till.shelf.random(shop.orderLines, this.#random);
    const order = till.shelf.random(shop.orders, this.#random);
    if (!line || !order) return;
    const target = [Number(order[0]), between(this.#random, 100, 60_000)];
    if (till.shelf.version(shop.orderLines, target) > 0) return;
    await till.rekey(shop.orderLines, line, target);
  }

  async #reviseBest(till: Till): Promise<void> {
    const best = till.shelf.random(shop.bestOrders, this.#random);
    if (!best) return this.#payOrder(till);
    if (this.#random() < 0.2) return till.delete(shop.bestOrders, [best]);
    return till.update(shop.bestOrders, [best], { amount: money(this.#random, 50_000) });
  }

  async #regret(till: Till): Promise<void> {
    let rows = 0;
    await till.rolledBack(async () => {
      for (let i = 0; i < 60; i += 1) await this.#newOrder(till);
      rows = till.shelf.drafted;
    });
    this.#options.say(`ROLLBACK of ${rows} rows: none of them may ever be seen`);
  }

  async #addColumn(till: Till): Promise<void> {
    await till.execute(shop.addGift);
    this.#hasGift = true;
    this.#options.say(shop.addGift);
  }

  async #copyTable(till: Till, version: MysqlVersion): Promise<void> {
    const statements = shop.makeBestOrders(version, `id < ${BULK_FIRST_ID}`);
    for (const statement of statements.slice(0, -1)) await till.execute(statement);
    for (const key of till.shelf.keys(shop.orders)) {
      till.shelf.insert(shop.bestOrders, key, till.shelf.version(shop.orders, key));
    }
    const rows = await till.commitWith(statements.at(-1) ?? "");
    this.#options.say(`CREATE TABLE best_orders … SELECT made ${rows} rows`);
  }

  async #runWarehouse(till: Till, elapsed: () => number): Promise<void> {
    await sleep(WAREHOUSE_PAUSE_MS / 3);
    while (elapsed() < 1) {
      let did = "";
      const rows = await till.transaction(async () => {
        did = await this.#bulk(till);
      });
      this.#options.say(`one transaction ${did} ${rows} rows`);
      for (const listener of this.#bulkListeners.splice(0)) listener(rows);
      await sleep(Math.min(WAREHOUSE_PAUSE_MS, Math.max(0, 1 - elapsed()) * 1e6));
    }
  }

  async #bulk(till: Till): Promise<string> {
    const count = between(this.#random, BULK_ROWS.least, BULK_ROWS.most);
    const keys = till.shelf.keys(shop.orders);
    if (keys.length > BULK_KEPT_MAX) {
      await till.delete(shop.orders, keys.slice(-BULK_ROWS.most));
      return "deleted";
    }
    if (keys.length > count && this.#random() < 0.4) {
      await till.update(shop.orders, keys.slice(-count), {
        status: pick(this.#random, statuses),
        amount: money(this.#random, 90_000),
      });
      return "updated";
    }
    const rows = Array.from({ length: count }, () => {
      this.#lastBulk += 1;
      return { key: [this.#lastBulk], values: this.#orderValues() };
    });
    await till.insert(shop.orders, rows);
    return "inserted";
  }

  #orderValues(): Values {
    const values = {
      customer: pick(this.#random, customers),
      status: "new",
      amount: money(this.#random, 90_000),
      note: this.#note(),
      tags: JSON.stringify({ source: "web", visits: between(this.#random, 1, 99), vip: false }),
      placed_at: `2026-0${between(this.#random, 1, 9)}-1${between(this.#random, 0, 9)} 07:08:09.${between(this.#random, 100_000, 999_999)}`,
    };
    return this.#hasGift ? { ...values, gift: pick(this.#random, ["card", "ribbon"]) } : values;
  }

  #note(): string | null {
    const length = between(this.#random, -5, 60);
    return length < 0 ? null : `“${"please ring twice, ".repeat(4).slice(0, length)}” \\ 'ok'`;
  }

  #newSku(): string {
    this.#lastSku += 1;
    return `№ ${pick(this.#random, goods)}-${this.#lastSku}`;
  }
}

function money(random: Random, most: number): string {
  return `${between(random, 0, most)}.${String(between(random, 0, 99)).padStart(2, "0")}`;
}
