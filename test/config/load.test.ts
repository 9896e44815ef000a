import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { packZstd } from "../../src/compression/zstd.ts";
import type { Config } from "../../src/config/config.ts";
import { loadConfig } from "../../src/config/load.ts";
import { errorOf, faultsOf, MINIMAL, parse } from "./support.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidemark-config-"));
});

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

const MB = 1024 ** 2;

describe("a minimal file", () => {
  test("gets every default", () => {
    expect(parse(MINIMAL).config).toEqual({
      source: {
        host: "db.internal",
        port: 3306,
        hosts: [{ host: "db.internal", port: 3306 }],
        user: "cdc",
        password: "pw",
        reader: "native",
        serverId: 42_897,
        tls: { mode: "verify_identity", ca: undefined, cert: undefined, key: undefined },
        start: { kind: "latest" },
        xa: "stop",
        onLostPosition: "stop",
        snapshot: {
          mode: "never",
          tables: ["*.*"],
          batchRows: undefined,
          parallelTables: 1,
          rowsPerS: Infinity,
          where: {},
          quiesced: false,
          noKey: "refuse",
          replica: undefined,
        },
      },
      queue: {
        flushIntervalMs: 100,
        memoryBytes: 64 * MB,
        memoryPerPipelineBytes: 64 * MB,
        maxRowBytes: 64 * MB,
        maxEntries: 100_000,
      },
      pipelines: [
        {
          name: "shop",
          tables: ["shop.*"],
          events: ["insert", "update", "delete", "truncate"],
          format: { type: "debezium", tombstones: true },
          sink: {
            type: "kafka",
            brokers: ["kafka:9092"],
            topic: "{database}.{table}",
            delivery: "effectively-once",
            compression: "none",
            createTopics: { partitions: 1, replicationFactor: -1, config: {} },
            tls: { mode: "disabled", ca: undefined, cert: undefined, key: undefined },
            sasl: undefined,
          },
          deadLetter: undefined,
          commitLog: { type: "kafka", topic: "tidemark.commit-log" },
        },
      ],
      http: undefined,
      log: { level: "info", format: undefined, ratesMs: 0 },
      shutdownGraceMs: 10_000,
    } satisfies Config);
  });

  test.each([
    ["mode: initial, host: r", { host: "r", port: 3306 }],
    ["mode: initial, host: db.internal, port: 3307", { host: "db.internal", port: 3307 }],
    ["mode: initial, host: db.internal", undefined],
    ['mode: initial, host: ""', undefined],
    ["mode: never, host: r", { host: "r", port: 3306 }],
  ])("may name a replica for its snapshot with %j", (snapshot, replica) => {
    const text = MINIMAL.replace("user: cdc", `user: cdc\n  snapshot: { ${snapshot} }`);
    expect(parse(text).config.source.snapshot.replica).toEqual(replica);
  });

  test("may name several hosts instead of one", () => {
    const { source } = parse(
      MINIMAL.replace("host: db.internal", "hosts: [db1, 'db2:3307', '[::1]:1']"),
    ).config;
    const hosts = [
      { host: "db1", port: 3306 },
      { host: "db2", port: 3307 },
      { host: "::1", port: 1 },
    ];
    expect(source).toMatchObject({ host: "db1", port: 3306, hosts });
    expect(source.tls.mode).toBe("verify_identity");
  });

  test.each([
    ["host: a\n  hosts: [b]", "source.host: belongs into hosts, which is there"],
    ["port: 3306", "source.host: is required, or hosts"],
    ["hosts: []", "source.hosts: expected at least one host"],
    ["hosts: [a, a]", "source.hosts: holds a host twice"],
    ["hosts: ['mysql://a']", "source.hosts[0]: expected host or host:port, without a scheme"],
    ["hosts: ['a:70000']", "source.hosts[0]: expected host or host:port, without a scheme"],
  ])("with %j is refused", (written, fault) => {
    const text = MINIMAL.replace("host: db.internal", written);
    expect(faultsOf(() => parse(text)).join()).toContain(fault);
  });

  test.each([
    ["host: localhost", "preferred"],
    ["host: 127.0.0.1", "preferred"],
    ["host: 10.0.0.1", "verify_identity"],
    ["host: localhost\n  tls: { mode: required }", "required"],
    ["host: localhost\n  snapshot: { mode: initial, host: replica }", "verify_identity"],
  ])("with %j encrypts as %s", (host, mode) => {
    expect(parse(MINIMAL.replace("host: db.internal", host)).config.source.tls.mode).toBe(mode);
  });

  test.each([
    ["latest", { kind: "latest" }],
    ["earliest", { kind: "earliest" }],
    ["{ gtid_set: 'a:1-5' }", { kind: "gtid-set", gtidSet: "a:1-5" }],
    [
      "{ file: binlog.000003, position: 4711 }",
      { kind: "position", file: "binlog.000003", position: 4711 },
    ],
  ])("begins at %s", (start, expected) => {
    const text = MINIMAL.replace("user: cdc", `user: cdc\n  start: ${start}`);
    expect(parse(text).config.source.start).toEqual(expected);
  });

  test.each([
    ["type: file\n      path: x", { type: "file", dir: "tidemark-state" }],
    ["type: stdout", { type: "file", dir: "tidemark-state" }],
  ])("with the sink %j keeps its commit log in a file", (sink, commitLog) => {
    const text = MINIMAL.replace("type: kafka\n      brokers: [kafka]", sink);
    expect(parse(text).config.pipelines[0]?.commitLog).toEqual(commitLog);
  });

  test("sorts and counts events once", () => {
    const { config } = parse(`${MINIMAL}    events: [delete, insert, delete]\n`);
    expect(config.pipelines[0]?.events).toEqual(["insert", "delete"]);
  });
});

describe("checks across fields", () => {
  const pipelines = (count: number): string =>
    Array.from(
      { length: count },
      (_, index) => `  - { name: p${index}, tables: [a.b], sink: { type: stdout } }\n`,
    ).join("");
  const withPipelines = (count: number, rest = ""): string =>
    `source: { host: h, user: u }\npipelines:\n${pipelines(count)}${rest}`;

  test("a share of the memory below 4 MB names what is needed", () => {
    expect(parse(withPipelines(16)).config.queue.memoryPerPipelineBytes).toBe(4 * MB);
    expect(faultsOf(() => parse(withPipelines(17)))).toEqual([
      "queue.memory: is shared by 17 pipelines, and each needs 4MB: at least 68MB is needed",
    ]);
  });

  test("server ids may not run out", () => {
    const text = withPipelines(2).replace("user: u", "user: u, server_id: 4294967295");
    expect(faultsOf(() => parse(text))[0]).toMatch(/^source\.server_id: each pipeline takes/);
  });

  test.each([
    [
      "two pipelines of one name",
      `${MINIMAL}  - { name: shop, tables: [a.b], sink: { type: stdout } }\n`,
      "pipelines[1].name: another pipeline has this name already",
    ],
    [
      "two pipelines with one file",
      `source: { host: h, user: u }
pipelines:
  - { name: a, tables: [a.b], sink: { type: file, path: ./x } }
  - { name: b, tables: [a.b], sink: { type: file, path: x } }`,
      "pipelines.b.sink.path: another sink writes to this file already",
    ],
    [
      "a commit log in Kafka without Kafka",
      `source: { host: h, user: u }
pipelines: [{ name: a, tables: [a.b], sink: { type: stdout }, commit_log: { type: kafka } }]`,
      "pipelines.a.commit_log.type: a commit log in Kafka uses",
    ],
    [
      "events in the topic of the commit log",
      MINIMAL.replace("brokers: [kafka]", "brokers: [kafka]\n      topic: tidemark.commit-log"),
      "pipelines.shop.sink.topic: this is the topic of the commit log",
    ],
    [
      "a password and a password file",
      MINIMAL.replace("password: pw", "password: pw\n  password_file: x"),
      "source.password_file: cannot be there together with password",
    ],
    [
      "SASL without a password",
      `${MINIMAL}      sasl: { mechanism: scram-sha-256, username: u }\n`,
      "pipelines.shop.sink.sasl.password: is required, or password_file",
    ],
    [
      "a password in plain text over the network",
      `${MINIMAL}      sasl: { mechanism: plain, username: u, password: p }\n`,
      "pipelines.shop.sink.sasl.mechanism: plain sends the password unencrypted",
    ],
    [
      "only patterns that exclude",
      MINIMAL.replace('["shop.*"]', '["!shop.*"]'),
      'pipelines.shop.tables: expected at least one pattern without "!"',
    ],
    [
      "exactly-once",
      `${MINIMAL}      delivery: exactly-once\n`,
      "pipelines.shop.sink.delivery: exactly-once is not in this release yet",
    ],
    [
      "a replica to read rows from, without GTIDs",
      MINIMAL.replace(
        "user: cdc",
        "user: cdc\n  snapshot: { mode: initial, host: r, quiesced: true }",
      ),
      "source.snapshot.host: only GTIDs tell whether a replica has what the stream has, and quiesced does without",
    ],
    [
      "a snapshot for a lost position where nobody can be told to empty a table",
      MINIMAL.replace("user: cdc", "user: cdc\n  on_lost_position: snapshot").replace(
        "    sink:",
        "    format: maxwell\n    sink:",
      ),
      "source.on_lost_position: snapshot cannot mend pipeline shop: its format maxwell cannot tell that a table is emptied",
    ],
    [
      "the same where rows that are read are left out",
      MINIMAL.replace("user: cdc", "user: cdc\n  on_lost_position: snapshot").replace(
        "    sink:",
        "    events: [update, truncate]\n    sink:",
      ),
      "source.on_lost_position: snapshot cannot mend pipeline shop: its events leave out insert or truncate",
    ],
    [
      "a snapshot for a lost position that nobody can promise a quiet time for",
      MINIMAL.replace(
        "user: cdc",
        "user: cdc\n  on_lost_position: snapshot\n  snapshot: { quiesced: true }",
      ),
      "source.on_lost_position: nobody knows when it comes to a snapshot: quiesced cannot be promised for it",
    ],
    [
      "a truncate in a format that has no word for it",
      MINIMAL.replace("    sink:", "    format: maxwell\n    events: [truncate]\n    sink:"),
      "pipelines.shop.events: the format maxwell has no word for truncate: take it out",
    ],
    [
      "a delivery for stdout",
      MINIMAL.replace("type: kafka\n      brokers: [kafka]", "type: stdout\n      delivery: x"),
      "pipelines.shop.sink.delivery: there is no such key",
    ],
  ])("%s is refused", (_, text, fault) => {
    const faults = faultsOf(() => parse(text));
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(fault);
  });

  test.each([
    "brokers: [kafka]\n      tls: {}",
    "brokers: [127.0.0.1]",
    'brokers: ["[::1]:9092", localhost]',
  ])("plain is accepted with %j", brokers => {
    const sasl = "\n      sasl: { mechanism: plain, username: u, password: p }";
    const text = MINIMAL.replace("brokers: [kafka]", brokers + sasl);
    expect(parse(text).config.pipelines).toHaveLength(1);
  });

  test.each(["gzip", "snappy", "lz4", "zstd"])(
    "compression %s is taken where it can be had",
    name => {
      const load = (): Config => parse(`${MINIMAL}      compression: ${name}\n`).config;
      if (name !== "zstd" || packZstd !== undefined) {
        expect(load().pipelines[0]?.sink).toMatchObject({ compression: name });
        return;
      }
      expect(faultsOf(load)).toEqual([
        `pipelines.shop.sink.compression: zstd needs Node.js 22.15 or newer, and this is ${process.version}: ` +
          "run a newer one, or set gzip or lz4",
      ]);
    },
  );

  test("plain over the network is accepted where it is asked for", () => {
    const sasl = "sasl: { mechanism: plain, username: u, password: p, allow_without_tls: true }";
    const { sink } = parse(`${MINIMAL}      ${sasl}\n`).config.pipelines[0] ?? {};
    expect(sink).toMatchObject({ sasl: { mechanism: "plain", username: "u", password: "p" } });
  });

  test("a fault in one section does not hide those across the others", () => {
    const text = `${MINIMAL.replace("user: cdc", "usr: cdc")}  - { name: shop }\nlog: 5\n`;
    expect(faultsOf(() => parse(text))).toEqual([
      "source.user: is required: expected text",
      "source.usr: there is no such key",
      'pipelines[1].tables: is required: expected a list such as ["shop.*"]',
      "pipelines[1].sink: is required: expected { type: kafka, … }, { type: sqs, … }, { type: rabbitmq, … }, { type: file, … } or { type: stdout }",
      "log: expected keys and values",
      "pipelines[1].name: another pipeline has this name already",
    ]);
  });
});

describe("environment variables", () => {
  const environment = { PW: 'a"b: ${PW} #', PORT: "3307", EMPTY: "", HOSTS: "h" };
  const withPassword = (value: string): string =>
    MINIMAL.replace("password: pw", () => `password: ${value}`);

  test.each([
    ["${PW}", 'a"b: ${PW} #'],
    ["x${HOSTS}y${PORT}", "xhy3307"],
    ["${MISSING:-fallback}", "fallback"],
    ["${EMPTY:-fallback}", "fallback"],
    ["${MISSING:-}", ""],
    ["${MISSING:-{table}}", "{table}"],
    ["${MISSING:-a.{database}.{table}}-b", "a.{database}.{table}-b"],
    ["${HOSTS:-{table}}", "h"],
    ["${EMPTY}", ""],
    ["$${PW}", "${PW}"],
    ["a$b$", "a$b$"],
    ["$1 $& $$", "$1 $& $$"],
  ])("%s becomes %j", (value, expected) => {
    expect(parse(withPassword(value), { environment }).config.source.password).toBe(expected);
  });

  test("can be numbers", () => {
    const text = MINIMAL.replace("user: cdc", "user: cdc\n  port: ${PORT}");
    expect(parse(text, { environment }).config.source.port).toBe(3307);
  });

  test("that are missing are all named", () => {
    const text = MINIMAL.replace("db.internal", "${A1}").replace("cdc", "${B2}");
    expect(faultsOf(() => parse(text))).toEqual([
      "source.host: the environment variable A1 is not set",
      "source.user: the environment variable B2 is not set",
    ]);
  });

  test("must have names", () => {
    expect(faultsOf(() => parse(withPassword("'${not a name}'")))).toEqual([
      "source.password: expected a name in ${…}; write $${ for a dollar sign and a brace",
    ]);
  });
});

describe("--set", () => {
  const set = (...overrides: string[]): Config => parse(MINIMAL, { overrides }).config;

  test("changes values, lists and settings with dots in their names", () => {
    const config = set(
      "source.port=3307",
      "source.password=a=${b}",
      "source.tls.mode=disabled",
      'pipelines.shop.tables=["a.*","!a.b"]',
      "pipelines.shop.sink.topic={database}",
      "pipelines.shop.sink.create_topics.config.cleanup.policy=compact",
      "pipelines.shop.format.tombstones=false",
      "queue.memory=8MB",
      "queue.memory=16MB",
    );
    expect(config.source).toMatchObject({
      port: 3307,
      password: "a=${b}",
      tls: { mode: "disabled" },
    });
    expect(config.pipelines[0]).toMatchObject({
      tables: ["a.*", "!a.b"],
      format: { type: "debezium", tombstones: false },
      sink: { topic: "{database}", createTopics: { config: { "cleanup.policy": "compact" } } },
    });
    expect(config.queue.memoryBytes).toBe(16 * MB);
  });

  test.each([
    ["pipelines.none.name=x", "--set pipelines.none: there is no such item."],
    ["source.host.name=x", "--set source.host: there are no keys below this one."],
    ["source", "--set expects path=value"],
    ["=x", "--set expects path=value"],
    ["a..b=x", "--set expects path=value"],
  ])("%s is refused as usage", (override, message) => {
    const error = errorOf(() => set(override));
    expect(error.code).toBe("USAGE");
    expect(error.message).toContain(message);
  });

  test.each(["__proto__.polluted=x", "source.__proto__.polluted=x", "constructor.prototype.x=1"])(
    "%s changes no prototype",
    override => {
      expect(errorOf(() => set(override)).code).toBe("CONFIG_INVALID");
      expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    },
  );
});

describe("the short form", () => {
  const load = (source: string, target: string, name?: string): Config =>
    loadConfig({ source, target, name }, { TIDEMARK_MYSQL_PASSWORD: "from-env" }).config;

  test("makes a pipeline of the database", () => {
    const config = load("mysql://cdc@127.0.0.1/Web Shop", "kafka://127.0.0.1:9092");
    expect(config.source).toMatchObject({
      host: "127.0.0.1",
      port: 3306,
      user: "cdc",
      password: "from-env",
      tls: { mode: "preferred" },
    });
    expect(config.pipelines).toMatchObject([
      {
        name: "web_shop",
        tables: ["Web Shop.*"],
        sink: { type: "kafka", brokers: ["127.0.0.1:9092"], delivery: "effectively-once" },
        commitLog: { type: "kafka" },
      },
    ]);
  });

  test("decodes what is percent-encoded", () => {
    const { source } = load("mysql://c%40x:p%3A%2F%25%23@[::1]:3307/s", "stdout:");
    expect(source).toMatchObject({ host: "::1", port: 3307, user: "c@x", password: "p:/%#" });
  });

  test.each([
    ["stdout:", { type: "stdout", envelope: false, delivery: "at-least-once" }],
    ["file:./out.jsonl", { type: "file", path: "./out.jsonl" }],
    ["file:out.jsonl", { type: "file", path: "out.jsonl" }],
    ["file:/tmp/a%20b", { type: "file", path: "/tmp/a b" }],
    ["file:///tmp/x", { type: "file", path: "/tmp/x" }],
    ["kafka://kafka", { type: "kafka", brokers: ["kafka:9092"] }],
  ])("sends to %s", (target, sink) => {
    expect(load("mysql://c@h/s", target).pipelines[0]?.sink).toMatchObject(sink);
  });

  test("takes --name and --set", () => {
    const { config } = loadConfig(
      {
        source: "mysql://c@h/s",
        target: "stdout:",
        name: "mine",
        overrides: ["pipelines.mine.sink.envelope=true"],
      },
      {},
    );
    expect(config.pipelines).toMatchObject([
      { name: "mine", sink: { envelope: true }, commitLog: { dir: "tidemark-state" } },
    ]);
  });

  test.each([
    ["mysql://h/s", "stdout:"],
    ["mysql://c@h", "stdout:"],
    ["mysql://c@h/", "stdout:"],
    ["mysql://c@h/a/b", "stdout:"],
    ["mysql://c@h/s?ssl=1", "stdout:"],
    ["mysql://c@h/s#x", "stdout:"],
    ["mysql://c@h/%E0%A4%A", "stdout:"],
    ["mysql:", "stdout:"],
    ["nonsense", "stdout:"],
    ["mysql://c@h/s", "kafka://"],
    ["mysql://c@h/s", "kafka://u:p@k"],
    ["mysql://c@h/s", "kafka://k/topic"],
    ["mysql://c@h/s", "file:"],
    ["mysql://c@h/s", "sqs://x"],
  ])("%s %s is refused as usage", (source, target) => {
    expect(errorOf(() => load(source, target)).code).toBe("USAGE");
  });
});

describe("files of secrets and certificates", () => {
  const withFile = (path: string): string =>
    MINIMAL.replace("password: pw", `password_file: ${path}`);

  test("a password file loses one line break", () => {
    expect(parse(withFile(write("a", "p w \n"))).config.source.password).toBe("p w ");
    expect(parse(withFile(write("b", "p\n\n"))).config.source.password).toBe("p\n");
    expect(parse(withFile(write("c", "p\r\n"))).config.source.password).toBe("p");
  });

  test("others who can read it are a warning", () => {
    const path = write("pw", "p");
    expect(parse(withFile(path)).warnings).toEqual([]);
    chmodSync(path, 0o644);
    expect(parse(withFile(path)).warnings).toEqual([
      "source.password_file: other users of this machine can read the file (chmod 600).",
    ]);
  });

  test.each([
    ["/nonexistent/hunter2", "source.password_file: the file cannot be read (ENOENT)"],
    ["/dev/zero", "source.password_file: expected a file of at most 1 MB"],
    ["/", "source.password_file: expected a file of at most 1 MB"],
  ])("%s cannot be one", (path, fault) => {
    expect(faultsOf(() => parse(withFile(path)))).toEqual([fault]);
  });

  test("certificates are read and checked", () => {
    const key = join(folder, "key.pem");
    const cert = join(folder, "cert.pem");
    const subject = ["-subj", "/CN=test", "-days", "2", "-nodes"];
    const pair = ["req", "-x509", "-newkey", "rsa:2048", "-keyout", key, "-out", cert, ...subject];
    execFileSync("openssl", pair, { stdio: "ignore" });
    const tls = (fields: string): string =>
      MINIMAL.replace("user: cdc", `user: cdc\n  tls: { ${fields} }`);
    const { config } = parse(tls(`ca: ${cert}, cert: ${cert}, key: ${key}`));
    expect(config.source.tls).toEqual({
      mode: "verify_identity",
      ca: readFileSync(cert, "utf8"),
      cert: readFileSync(cert, "utf8"),
      key: readFileSync(key, "utf8"),
    });
    const none = write("none.pem", "hunter2");
    expect(faultsOf(() => parse(tls(`ca: ${none}`)))).toEqual([
      "source.tls.ca: expected a PEM file",
    ]);
    expect(faultsOf(() => parse(tls(`cert: ${cert}`)))).toEqual([
      "source.tls.key: is required where cert is",
    ]);
    expect(faultsOf(() => parse(tls(`cert: ${cert}, key: ${cert}`)))).toEqual([
      "source.tls.key: is not the key of cert, or one of the two is damaged",
    ]);
  });
});
