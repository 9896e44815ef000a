/** `source.hosts`: every host is looked at, and the first that is up is read. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { freePort } from "../../tools/services/ports.ts";
import { startMysql, stopAll, type Mysql } from "../../tools/services/services.ts";
import { buildBundle } from "../support/bundle.ts";
import { ask } from "../../tools/services/mysql-statements.ts";
import { Place, until } from "./support.ts";

let bundle = "";
let first: Mysql;
let second: Mysql;
let place: Place;
let nobody = "";

const addressOf = ({ host, port }: Mysql): string => `${host}:${port}`;

beforeAll(async () => {
  bundle = buildBundle();
  [first, second] = await Promise.all([
    startMysql("mysql-9"),
    startMysql("mysql-9", { args: ["--server-id=2", "--log-replica-updates=OFF"] }),
  ]);
  nobody = `127.0.0.1:${await freePort()}`;
});
afterAll(() => stopAll());

beforeEach(async () => {
  place = new Place(bundle);
  await place.prepare(first);
  await place.prepare(second);
});
afterEach(() => place.remove());

function configure(...hosts: readonly string[]): void {
  place.configure(first, {
    source: { host: undefined, port: undefined, hosts },
    sink: { type: "stdout" },
  });
}

test("a host that is down is a warning, as long as another is up", async () => {
  configure(nobody, addressOf(first));
  const up = await place.check(["--connect-timeout", "5"]);
  expect(up.status).toBe(0);
  const down = up.bad.find(({ check }) => check === "mysql.connection");
  expect(down).toMatchObject({ level: "warning" });
  expect(down?.found).toContain(`${nobody} cannot take over: MySQL cannot be reached`);

  configure(nobody);
  expect((await place.check(["--connect-timeout", "2"])).status).toBe(69);
});

test("each has to log what it gets from another", async () => {
  configure(addressOf(first), addressOf(second));
  const { status, bad } = await place.check();
  expect(status).toBe(78);
  expect(bad.find(({ check }) => check === "mysql.log_replica_updates")).toMatchObject({
    found: `${addressOf(second)}: log_replica_updates is OFF: what the server gets from its source is not in its binlog.`,
    exit_code: 78,
  });
});

test("the first that is up is read", async () => {
  configure(nobody, addressOf(first));
  const running = place.start(["run"]);
  await until("it reads", () => running.output().stderr.includes("begins without a checkpoint"));
  await ask(first, `INSERT INTO ${place.database}.orders VALUES (1, 'a')`);
  await until("row 1", () => running.output().stdout.includes('"id":1'));
  running.kill("SIGTERM");
  expect((await running.ended).status).toBe(0);
});
