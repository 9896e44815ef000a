import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { buildBundle, runBundle, type ProgramResult } from "../support/bundle.ts";

const SECRET = "hunter2-secret";

let bundle = "";
let folder = "";
beforeAll(() => {
  bundle = buildBundle();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidemark-cli-"));
});

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): ProgramResult {
  return runBundle(bundle, args, { cwd: folder, env });
}

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return name;
}

const VALID = `
source: { host: 127.0.0.1, user: cdc, password: ${SECRET} }
pipelines:
  - name: shop
    tables: ["shop.*"]
    sink: { type: kafka, brokers: ["127.0.0.1"], sasl: { mechanism: plain, username: u, password: ${SECRET} } }
`;

describe("help and version", () => {
  test("are printed to standard output, with exit code 0", () => {
    expect(run(["--version"])).toEqual({ status: 0, stdout: "0.1.0\n", stderr: "" });
    for (const args of [["--help"], ["run", "--help"], ["help", "config"]]) {
      const { status, stdout, stderr } = run(args);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      expect(stdout).toMatch(/^Usage: tidemark/);
    }
    expect(run(["run", "--help"]).stdout).toContain(
      "tidemark run mysql://cdc@127.0.0.1/shop kafka://",
    );
  });

  test("help that was not asked for is a usage error", () => {
    const { status, stdout, stderr } = run([]);
    expect({ status, stdout }).toEqual({ status: 64, stdout: "" });
    expect(stderr).toMatch(/^Usage: tidemark/);
  });
});

describe("usage errors", () => {
  test.each([
    [
      "an unknown option",
      ["run", "--conf", "x"],
      "There is no option --conf (did you mean --config?).",
    ],
    ["an unknown command", ["rnu"], "There is no such command (did you mean run?)."],
    ["too many arguments", ["config", "a", "b", "c"], "There are too many arguments."],
    [
      "a value that is missing",
      ["run", "--config"],
      "-c, --config <file> is not followed by its value.",
    ],
    ["a level that is none", ["run", "--log-level", "loud"], "--log-level expects one of"],
    [
      "a time that is none",
      ["run", "--connect-timeout", "0"],
      "--connect-timeout expects a number",
    ],
    ["no file at all", ["run"], "There is no tidemark.yaml here."],
    ["a source without a target", ["run", "mysql://cdc@h/shop"], "A target is missing"],
    [
      "both forms at once",
      ["run", "mysql://c@h/s", "stdout:", "-c", "x"],
      "Give either --config or",
    ],
    ["--name with a file", ["config", "--name", "x"], "--name belongs to the form"],
    [
      "--set without a value",
      ["config", "a://", "stdout:", "--set", "x"],
      "The source must look like",
    ],
  ])("%s: exit code 64 and one line", (_, args, sentence) => {
    const { status, stdout, stderr } = run(args);
    expect({ status, stdout }).toEqual({ status: 64, stdout: "" });
    expect(stderr).toContain(`tidemark: [USAGE] ${sentence}`);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });

  test.each([
    [["run", `--password=${SECRET}`]],
    [["run", `-p${SECRET}`]],
    [[`mysql://cdc:${SECRET}@127.0.0.1/shop`, "stdout:"]],
    [["config", `mysql://cdc:${SECRET}@127.0.0.1/shop`, "nowhere:"]],
    [["config", `mysql://cdc:${SECRET}%@127.0.0.1/shop`, "stdout:"]],
    [["config", `mysql://cdc:${SECRET}@127.0.0.1/`, "stdout:"]],
    [["config", `postgres://cdc:${SECRET}@127.0.0.1/shop`, "stdout:"]],
    [["config", `mysql://c@h/s`, "stdout:", "--set", SECRET]],
    [["config", `mysql://c@h/s`, "stdout:", "--set", `source.pasword=${SECRET}`]],
    [["config", `mysql://c@h/s`, "stdout:", "--set", `source.port=${SECRET}`]],
  ])("never repeat a secret: %j", args => {
    const { status, stdout, stderr } = run(args);
    expect([64, 78]).toContain(status);
    expect(stdout + stderr).not.toContain(SECRET);
  });
});

describe("a bad configuration", () => {
  test("ends with 78 and lists every fault with its path, without values", () => {
    const file = write(
      "bad.yaml",
      `
source: { host: db, prot: 3306, password: ${SECRET}, pasword: ${SECRET}, tls: { mode: ${SECRET} } }
queue: { memory: 5MB, max_entries: none }
pipelines:
  - { name: a, tables: [orders], sink: { type: kafka, brokers: [], delivery: exactly-once } }
  - { name: a, tables: ["a.*"], format: avro, sink: { type: stdout, envelop: true } }
htpp: { port: 8080 }
`,
    );
    const { status, stdout, stderr } = run(["run", "--config", file]);
    expect({ status, stdout }).toEqual({ status: 78, stdout: "" });
    expect(stderr.trimEnd().split("\n")).toEqual([
      "tidemark: [CONFIG_INVALID] bad.yaml has 12 faults:",
      "  source.user: is required: expected text",
      "  source.tls.mode: expected one of disabled, preferred, required, verify_ca, verify_identity",
      "  source.prot: there is no such key",
      "  source.pasword: there is no such key",
      "  queue.max_entries: expected a whole number from 1 to 10000000",
      "  pipelines[0].tables[0]: expected database.table, such as shop.orders, shop.* or !shop.audit_*",
      "  pipelines[0].sink.brokers: expected at least one broker",
      "  pipelines[0].sink.delivery: exactly-once is not in this release yet; expected one of at-least-once, effectively-once",
      "  pipelines[1].format.type: expected one of debezium, row-events, maxwell, column-list, row-data, activity",
      "  pipelines[1].sink.envelop: there is no such key",
      "  htpp: there is no such key",
      "  pipelines[1].name: another pipeline has this name already",
    ]);
    expect(stderr).not.toContain(SECRET);
  });

  test.each([
    [
      "a file that is not there",
      () => ["run", "--config", "none.yaml"],
      "none.yaml cannot be read (ENOENT)",
    ],
    ["a folder", () => ["run", "--config", "."], "cannot be read (EISDIR)"],
    ["an empty file", () => ["run", "--config", write("e.yaml", "")], "must hold keys"],
    [
      "what is not YAML",
      () => ["run", "--config", write("y.yaml", `source: {password: "${SECRET}`)],
      "y.yaml is not valid YAML:\n  line 1",
    ],
    [
      "a variable that is not set",
      () => ["config", "-c", write("v.yaml", VALID.replace(SECRET, '"${NOT_SET}"'))],
      "source.password: the environment variable NOT_SET is not set",
    ],
  ])("%s ends with 78", (_, args, sentence) => {
    const { status, stderr } = run(args());
    expect(status).toBe(78);
    expect(stderr).toContain(sentence);
    expect(stderr).not.toContain(SECRET);
  });
});

describe("config", () => {
  test("prints what results, with defaults and without secrets", () => {
    write("tidemark.yaml", VALID);
    const { status, stdout, stderr } = run(["config", "--set", "pipelines.shop.sink.topic=all"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).not.toContain(SECRET);
    expect(stdout.match(/password: "\*{8}"/g)).toHaveLength(2);
    expect(stdout).toContain("topic: all");
    expect(stdout).toContain("flush_interval_ms: 100");
    expect(stdout).toContain("mode: preferred");
    expect(stdout).toContain("topic: tidemark.commit-log");
  });

  test("takes the password of the short form from the environment", () => {
    const env = { TIDEMARK_MYSQL_PASSWORD: SECRET };
    const { status, stdout, stderr } = run(
      ["config", "mysql://cdc@127.0.0.1/Web.Shop", "stdout:"],
      env,
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).not.toContain(SECRET);
    expect(stdout).toContain("name: web_shop");
  });

  test("warns of a password in the arguments, without it", () => {
    const { status, stdout, stderr } = run([
      "config",
      `mysql://c:${SECRET}@127.0.0.1/shop`,
      "stdout:",
    ]);
    expect(status).toBe(0);
    expect(stderr).toContain("The command line holds a password");
    expect(stdout + stderr).not.toContain(SECRET);
  });
});

describe("run", () => {
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
  });

  /** A server that takes connections and says nothing: MySQL is waited for. */
  async function silentServer(): Promise<number> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    server.unref();
    return (server.address() as AddressInfo).port;
  }

  async function start(
    nodeArgs: readonly string[] = [],
  ): Promise<{ child: ChildProcess; stderr: () => string }> {
    const url = `mysql://cdc@127.0.0.1:${await silentServer()}/shop`;
    const child = spawn(process.execPath, [...nodeArgs, bundle, "run", url, "stdout:"], {
      cwd: folder,
      env: { TIDEMARK_MYSQL_PASSWORD: SECRET },
    });
    children.push(child);
    let text = "";
    child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
    await expect.poll(() => text, { timeout: 10_000 }).toContain("starts");
    return { child, stderr: () => text };
  }

  test.each(["SIGTERM", "SIGINT"] as const)(
    "ends with 0 when %s asks before anything was read",
    async signal => {
      const { child, stderr } = await start();
      child.kill(signal);
      const [code] = (await once(child, "exit")) as [number];
      expect(code).toBe(0);
      expect(stderr()).not.toContain(SECRET);
    },
  );

  test.each([
    ["a rejection that nobody handles", "void Promise.reject(new Error('boom'))"],
    ["an exception that nobody catches", "throw new Error('boom')"],
    ["a value that is no error", "throw 'boom'"],
  ])("%s ends it with 70 and asks for a report", async (_, statement) => {
    const script = `setTimeout(() => { ${statement} }, 1000)`;
    const { child, stderr } = await start(["--import", `data:text/javascript,${script}`]);
    const [code] = (await once(child, "exit")) as [number];
    expect(code).toBe(70);
    const last = JSON.parse(stderr().trimEnd().split("\n").at(-1) ?? "") as Record<string, unknown>;
    expect(last).toMatchObject({ level: "error", code: "BUG" });
    expect(last["message"]).toMatch(/^boom\. This is a bug in Tidemark/);
    expect(stderr()).not.toMatch(/\n +at /);
  });

  test("a reader of the output that is gone does no harm", async () => {
    const child = spawn(process.execPath, [bundle, "config", "mysql://c@h/s", "stdout:"], {
      cwd: folder,
      env: {},
    });
    children.push(child);
    child.stdout.destroy();
    let text = "";
    child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
    const [code] = (await once(child, "exit")) as [number];
    expect([code, text]).toEqual([0, ""]);
  });

  test("gives up after --connect-timeout, with 69 and one sentence", async () => {
    const url = `mysql://cdc@127.0.0.1:${await silentServer()}/shop`;
    const { status, stdout, stderr } = run(["run", url, "stdout:", "--connect-timeout", "0.5"], {
      TIDEMARK_MYSQL_PASSWORD: SECRET,
    });
    expect({ status, stdout }).toEqual({ status: 69, stdout: "" });
    const last = JSON.parse(stderr.trimEnd().split("\n").at(-1) ?? "") as Record<string, unknown>;
    expect(last).toMatchObject({ level: "error", code: "SOURCE_UNAVAILABLE", exit_code: 69 });
    expect(stderr).not.toContain(SECRET);
    expect(stderr).not.toMatch(/\n +at /);
  });
});
