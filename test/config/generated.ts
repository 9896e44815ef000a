/**
 * Configurations by chance: a valid one, into which known faults are put at known places. Whatever loads it
 * has to name exactly these places. Knows the documentation and nothing of the source.
 */
import fc from "fast-check";
import { stringify } from "yaml";

/** Stands wherever a password does, and may be printed nowhere. */
export const PLANTED = "Pl4nted-Tr4ct0r-77";

export interface Generated {
  /** The file. */
  readonly text: string;
  readonly environment: Readonly<Record<string, string>>;
  /** For `--set`. */
  readonly overrides: readonly string[];
  /** The place of every fault, as it has to be printed, sorted; none if the configuration is valid. */
  readonly faults: readonly string[];
  /** Of the pipelines, where there is no fault. */
  readonly names: readonly string[];
}

/** Where what a configuration names is: a file with the secret, and one that is not there. */
export interface Files {
  readonly secret: string;
  readonly missing: string;
}

type Draw = fc.GeneratorValue;
type Path = readonly (string | number)[];
type Document = Record<string, unknown>;

interface Fault {
  readonly changes: readonly (readonly [path: Path, value: unknown])[];
  /** What is printed. */
  readonly path: Path;
  /** No other fault below it can be seen. */
  readonly covers: Path;
  /** Seen only if nothing else is wrong in its section: it lies in how several fields go together. */
  readonly across: boolean;
}

/** Means: the key is taken away. */
const ABSENT = Symbol("absent");
const PIPELINES_MAX = 4;
const FAULTS_MAX = 5;

const one = <T>(draw: Draw, items: readonly T[]): T =>
  draw((): fc.Arbitrary<T> => fc.constantFrom(...items));
const perhaps = (draw: Draw, fields: Document): Document => (draw(fc.boolean) ? fields : {});
const number = (draw: Draw, min: number, max: number): number => draw(fc.integer, { min, max });

/** Valid and faulty ones, about half and half. */
export function generated(files: Files): fc.Arbitrary<Generated> {
  return fc.gen().map(draw => {
    const environment = { SECRET: PLANTED, HOST: "db.internal" };
    const overrides: string[] = [];
    const document = valid(draw, files, overrides);
    const faults = chosenFaults(draw, candidates(document, files));
    const named = (fault: Fault): boolean => fault.path.at(-1) === "name";
    const maySet = !faults.some(named);
    for (const { changes } of faults) {
      for (const [path, value] of changes) {
        const override = maySet && draw(fc.boolean) ? asOverride(document, path, value) : undefined;
        if (override === undefined) put(document, path, value);
        else overrides.push(override);
      }
    }
    return {
      text: draw(fc.boolean) ? stringify(document) : JSON.stringify(document),
      environment,
      overrides,
      faults: faults.map(({ path }) => printed(document, path)).sort(),
      names: pipelinesOf(document).map(({ name }) => String(name)),
    };
  });
}

function valid(draw: Draw, files: Files, overrides: string[]): Document {
  const count = number(draw, 1, PIPELINES_MAX);
  return {
    source: {
      host: one(draw, ["db.internal", "127.0.0.1", "localhost", "${HOST}", "${NONE:-db2}"]),
      user: one(draw, ["cdc", "Cdc User", "cdc@x"]),
      ...perhaps(draw, { port: one<unknown>(draw, [3306, 1, 65_535, "3307"]) }),
      ...secretFields(draw, files, overrides),
      ...perhaps(draw, { server_id: one<unknown>(draw, [1, 42_897, "7"]) }),
      ...perhaps(draw, { tls: { mode: one(draw, ["disabled", "preferred", "verify_ca"]) } }),
      ...perhaps(draw, {
        start: one<unknown>(draw, ["latest", "earliest", { file: "binlog.000003", position: 4 }]),
      }),
    },
    ...perhaps(draw, {
      queue: {
        ...perhaps(draw, { flush_interval_ms: one(draw, [0, 100, 60_000]) }),
        ...perhaps(draw, { memory: one<unknown>(draw, ["16MB", "64MB", "1GB", 16_777_216]) }),
        ...perhaps(draw, { max_row: one(draw, ["1KB", "1GB"]) }),
        ...perhaps(draw, { max_entries: one(draw, [1, 10_000_000]) }),
      },
    }),
    pipelines: Array.from({ length: count }, (_, index) => pipeline(draw, index, files)),
    ...perhaps(draw, { http: perhaps(draw, { port: 8081, ready: { lag_ms: 1_000 } }) }),
    ...perhaps(draw, { log: { level: one(draw, ["debug", "info", "warn", "error"]) } }),
    ...perhaps(draw, { shutdown_grace_ms: one(draw, [0, 10_000, 3_600_000]) }),
  };
}

/** A password in one of the ways there are. */
function secretFields(draw: Draw, files: Files, overrides: string[]): Document {
  const way = one(draw, ["value", "environment", "file", "set"]);
  if (way === "file") return { password_file: files.secret };
  if (way === "set") {
    overrides.push(`source.password=${PLANTED}`);
    return {};
  }
  return { password: way === "value" ? PLANTED : "${SECRET}" };
}

function pipeline(draw: Draw, index: number, files: Files): Document {
  const sink = one(draw, [kafkaSink, sqsSink, rabbitmqSink, fileSink, stdoutSink])(
    draw,
    index,
    files,
  );
  const isKafka = sink["type"] === "kafka";
  const logs = [{ type: "file" }, { type: "file", dir: "state" }];
  const topics = [{ type: "kafka" }, { type: "kafka", topic: "positions" }];
  return {
    name: `${one(draw, ["shop", "a-b", "x_1", "0"])}${index}`,
    tables: one(draw, [["shop.*"], ["*.*", "!shop.audit_*"], ["a.b", "c.d?"]]),
    ...perhaps(draw, { events: one(draw, [["insert"], ["insert", "update", "delete"]]) }),
    ...perhaps(draw, {
      format: one<unknown>(draw, [
        "debezium",
        { tombstones: false },
        "maxwell",
        { type: "row-data" },
      ]),
    }),
    sink,
    ...("delivery" in sink
      ? {}
      : perhaps(draw, { dedupe: { window_ms: 1_000, max_memory: "64KB" } })),
    ...perhaps(draw, { commit_log: one(draw, isKafka ? [...logs, ...topics] : logs) }),
  };
}

function kafkaSink(draw: Draw, _index: number, files: Files): Document {
  const password = draw(fc.boolean) ? { password: PLANTED } : { password_file: files.secret };
  const mechanism = one(draw, ["scram-sha-256", "scram-sha-512"]);
  return {
    type: "kafka",
    brokers: one(draw, [["kafka"], ["kafka-1:9092", "kafka-2:9093"], ["10.0.0.1:1"]]),
    ...perhaps(draw, { topic: one(draw, ["changes", "{database}.{table}", "x.{table}"]) }),
    ...perhaps(draw, { delivery: one(draw, ["at-least-once", "effectively-once"]) }),
    ...perhaps(draw, {
      create_topics: { partitions: 4, config: { "retention.ms": one<unknown>(draw, [1, "2"]) } },
    }),
    ...perhaps(draw, { sasl: { mechanism, username: "u", ...password } }),
  };
}

function fileSink(draw: Draw, index: number): Document {
  const path = `changes-${index}.jsonl`;
  return { type: "file", path, ...perhaps(draw, { envelope: draw(fc.boolean) }) };
}

function sqsSink(draw: Draw): Document {
  return {
    type: "sqs",
    queue: one(draw, ["changes.fifo", "{database}-{table}.fifo", "https://sqs.x/1/q.fifo"]),
    ...perhaps(draw, { group: one(draw, ["key", "table", "schema"]) }),
    ...perhaps(draw, { region: "eu-west-1", max_message_bytes: 262_144, in_flight: 4 }),
  };
}

function rabbitmqSink(draw: Draw, _index: number, files: Files): Document {
  const password = draw(fc.boolean) ? { password: PLANTED } : { password_file: files.secret };
  const parts = { host: "rabbit", tls: {}, user: "u", ...password };
  return {
    type: "rabbitmq",
    ...one<Document>(draw, [parts, { url: `amqps://u:${PLANTED}@rabbit/v` }]),
    ...perhaps(draw, { exchange: one(draw, ["", "changes"]) }),
    ...perhaps(draw, { declare: { exchange_type: "topic", queues: draw(fc.boolean) } }),
  };
}

function stdoutSink(draw: Draw): Document {
  return { type: "stdout", ...perhaps(draw, { envelope: one<unknown>(draw, [true, "false"]) }) };
}

function wrong(path: Path, values: readonly unknown[], covers: Path = path): Fault[] {
  return values.map(value => ({ changes: [[path, value]], path, covers, across: false }));
}

function across(path: Path, ...changes: Fault["changes"]): Fault {
  return { changes, path, covers: path.slice(0, 1), across: true };
}

const TEXT = [5, "", null, ["x"], "${NOT_SET}"];
const WORD = ["other", 5, null, "${NOT_SET}"];

/** Whatever can be wrong with this document. */
function candidates(document: Document, files: Files): readonly Fault[] {
  const pipelines = pipelinesOf(document);
  const several = pipelines.length > 1;
  return [
    ...wrong(["source", "host"], [...TEXT, "a b", "mysql://db", ABSENT]),
    ...wrong(["source", "port"], [0, 65_536, "none", 1.5, null]),
    ...wrong(["source", "user"], [...TEXT, ABSENT]),
    ...wrong(["source", "server_id"], [0, -1, 2 ** 32, "x"]),
    ...wrong(["source", "tls", "mode"], WORD),
    ...wrong(["source", "start"], ["tomorrow", { gtid: "x" }, { file: "binlog.000003" }, 5]),
    ...wrong(["source", "prot"], [3306]),
    ...wrong(["source", "pasword"], [PLANTED]),
    across(
      ["source", "password_file"],
      [["source", "password"], ABSENT],
      [["source", "password_file"], files.missing],
    ),
    across(
      ["source", "password_file"],
      [["source", "password"], PLANTED],
      [["source", "password_file"], files.secret],
    ),
    ...(several ? [across(["source", "server_id"], [["source", "server_id"], 2 ** 32 - 1])] : []),
    ...wrong(["queue", "flush_interval_ms"], [-1, 60_001, "soon"]),
    ...wrong(["queue", "memory"], ["3MB", "much", -1, null]),
    ...wrong(["queue", "max_row"], ["1", "2GB", "big"]),
    ...wrong(["queue", "max_entries"], [0, "none", 1.5]),
    ...wrong(["queue", "max"], [1]),
    ...(several ? [across(["queue", "memory"], [["queue", "memory"], "4MB"])] : []),
    ...wrong(["http", "port"], [0, 65_536, "web"]),
    ...wrong(["http", "health_path"], ["health", "/live", "/a b"]),
    ...wrong(["http", "ready", "heartbeat_ms"], [1, "x"]),
    ...wrong(["http", "prot"], [1]),
    ...wrong(["log", "level"], ["trace", ...WORD]),
    ...wrong(["log", "format"], ["xml", ...WORD]),
    ...wrong(["shutdown_grace_ms"], [-1, "soon", 3_600_001]),
    ...wrong(["htpp"], [{ port: 8080 }]),
    // How many there are matters elsewhere too.
    ...wrong(["pipelines"], [[], ABSENT, 5, "shop"], []),
    ...pipelines.flatMap((item, index) => pipelineFaults(item, index, several)),
  ];
}

function pipelineFaults(item: Document, index: number, several: boolean): readonly Fault[] {
  const at = (...path: Path): Path => ["pipelines", index, ...path];
  const sink = item["sink"] as Document;
  const acrossHere = (path: Path, ...changes: Fault["changes"]): Fault => ({
    ...across(path, ...changes),
    covers: at(),
  });
  return [
    ...wrong(at("name"), ["Shop", "a b", "", ABSENT, 5]),
    ...(several && index > 0
      ? [{ ...across(at("name"), [at("name"), SAME_NAME]), covers: ["pipelines"] }]
      : []),
    ...wrong(at("tables"), [[], ABSENT, "shop.*", ["!shop.*"]]),
    ...wrong(at("tables", 0), ["orders", "", 5, "mysql.user"], at("tables")),
    ...wrong(at("events"), [[], "insert"]),
    ...wrong(at("events", 0), ["replace", 5], at("events")),
    ...wrong(at("format", "type"), ["avro", "xml"], at("format")),
    ...wrong(at("snapshots"), [true]),
    ...wrong(at("sink"), [ABSENT, 5, "kafka"]),
    ...wrong(at("sink", "type"), ["kinesis", "redis"], at("sink")),
    ...wrong(at("sink", "brocers"), [["x"]]),
    ...(sink["type"] === "kafka" ? kafkaFaults(sink, at) : []),
    ...(sink["type"] === "file" ? wrong(at("sink", "path"), [...TEXT, ABSENT]) : []),
    ...(sink["type"] === "kafka"
      ? []
      : [
          ...wrong(at("sink", "envelope"), ["perhaps", 5]),
          acrossHere(at("commit_log", "type"), [at("commit_log"), { type: "kafka" }]),
        ]),
    ...wrong(at("dedupe"), [5, "on"]),
    ...wrong(at("commit_log"), [5, "file"]),
    ...wrong(at("commit_log", "type"), ["redis"], at("commit_log")),
  ];
}

const SAME_NAME = Symbol("the name of the pipeline before");

function kafkaFaults(sink: Document, at: (...path: Path) => Path): readonly Fault[] {
  const sasl = at("sink", "sasl");
  const plain = { mechanism: "plain", username: "u", password: PLANTED };
  const here = (fault: Fault): Fault => ({ ...fault, covers: at() });
  return [
    ...wrong(at("sink", "brokers"), [[], ABSENT, "kafka:9092"]),
    ...wrong(at("sink", "brokers", 0), ["http://kafka", "a b", 5, ""], at("sink", "brokers")),
    ...wrong(at("sink", "topic"), ["a b", "{schema}.{table}", "..", 5]),
    ...wrong(at("sink", "delivery"), ["exactly-once", "never"]),
    ...wrong(at("sink", "create_topics", "partitions"), [0, "many", 100_001]),
    ...wrong(at("sink", "create_topics", "replication_factor"), [0, -2, 1_001]),
    ...wrong(at("sink", "tls", "mode"), ["preferred", 5]),
    ...wrong(at("sink", "path"), ["x"]),
    ...wrong(at("sink", "sasl"), [5, "plain"]),
    here(across([...sasl, "mechanism"], [sasl, plain], [at("sink", "tls"), ABSENT])),
    here(across([...sasl, "password"], [sasl, { mechanism: "scram-sha-256", username: "u" }])),
    here(
      across(
        at("sink", "topic"),
        [at("sink", "topic"), "positions"],
        [at("commit_log"), { type: "kafka", topic: "positions" }],
      ),
    ),
    ...(sink["sasl"] === undefined
      ? []
      : [
          ...wrong([...sasl, "mechanism"], ["gssapi", 5]),
          ...wrong([...sasl, "username"], [ABSENT, "", 5]),
          ...wrong([...sasl, "pasword"], [PLANTED]),
        ]),
  ];
}

/** Some that do not hide each other; none in about half of the cases. */
function chosenFaults(draw: Draw, all: readonly Fault[]): readonly Fault[] {
  if (draw(fc.boolean)) return [];
  const chosen: Fault[] = [];
  const wanted = number(draw, 1, FAULTS_MAX);
  for (let tries = 0; tries < 2 * wanted && chosen.length < wanted; tries += 1) {
    const fault = one(draw, all);
    if (chosen.every(other => areApart(fault, other))) chosen.push(fault);
  }
  return chosen;
}

function areApart(a: Fault, b: Fault): boolean {
  if (begins(a.covers, b.covers) || begins(b.covers, a.covers)) return false;
  return !(a.across || b.across) || sectionOf(a.path) !== sectionOf(b.path);
}

function begins(path: Path, start: Path): boolean {
  return start.every((key, index) => path[index] === key);
}

function sectionOf([section, index]: Path): string {
  return section === "pipelines" ? `${section}/${String(index)}` : String(section);
}

function pipelinesOf(document: Document): readonly Document[] {
  const { pipelines } = document as { pipelines?: unknown };
  return Array.isArray(pipelines) ? (pipelines as Document[]) : [];
}

function put(document: Document, path: Path, value: unknown): void {
  let target = document as Record<string | number, unknown>;
  for (const [depth, key] of path.slice(0, -1).entries()) {
    const next = target[key];
    const isThere = typeof next === "object" && next !== null;
    if (!isThere) target[key] = typeof path[depth + 1] === "number" ? [] : {};
    target = target[key] as Record<string | number, unknown>;
  }
  const last = path.at(-1) ?? "";
  if (value === ABSENT) Reflect.deleteProperty(target, last);
  else target[last] = value === SAME_NAME ? nameBefore(document, path) : value;
}

function nameBefore(document: Document, [, index]: Path): unknown {
  return pipelinesOf(document)[Number(index) - 1]?.["name"];
}

/** The same change on the command line; undefined where it cannot be said there. */
function asOverride(document: Document, path: Path, value: unknown): string | undefined {
  const isText = typeof value === "string" && !value.includes("${");
  if (!isText || path.slice(2).some(key => typeof key === "number")) return undefined;
  let above: unknown = document;
  for (const key of path.slice(0, -1)) {
    if (typeof above === "string") return undefined; // Such as `format: debezium`.
    above = (above as Document | undefined)?.[key];
  }
  if (typeof above === "string") return undefined;
  return `${printed(document, path)}=${value}`;
}

/** Items of a list by their name, if it can be one and no other has it. */
function printed(document: Document, path: Path): string {
  const names = pipelinesOf(document).map(({ name }) => name);
  let text = "";
  for (const [depth, key] of path.entries()) {
    if (typeof key !== "number") {
      text += `.${key}`;
      continue;
    }
    const name = depth === 1 ? names[key] : undefined;
    const isName = typeof name === "string" && /^[a-z0-9_-]{1,100}$/.test(name);
    const isOnly = isName && names.filter(other => other === name).length === 1;
    text += isOnly ? `.${name}` : `[${key}]`;
  }
  return text.slice(1);
}
