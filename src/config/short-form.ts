/**
 * `tidemark run mysql://cdc@127.0.0.1/shop kafka://127.0.0.1:9092`: a source and a target instead of a
 * file, made into the document that the file would hold. No message repeats a URL: it may hold a password.
 */
import { TidemarkError } from "../core/errors.ts";
import type { Environment } from "./environment.ts";
import { brokerFault } from "./broker.ts";

export interface ShortForm {
  readonly source: string;
  readonly target: string;
  /** Name of the pipeline; otherwise the database's. */
  readonly name: string | undefined;
}

export interface ShortFormDocument {
  readonly document: Readonly<Record<string, unknown>>;
  /** True if the command line held a password, where other users of the machine see it. */
  readonly hasPassword: boolean;
}

const SOURCE_SHAPE =
  "The source must look like mysql://user@host:3306/database " +
  "(special characters in user and password percent-encoded).";
const TARGET_SHAPE = "The target must look like kafka://host:9092, file:./changes.jsonl or stdout:";

/** @throws TidemarkError USAGE */
export function shortFormDocument(form: ShortForm, environment: Environment): ShortFormDocument {
  const url = parseUrl(form.source, "mysql:", SOURCE_SHAPE);
  const database = decode(url.pathname.slice(1), SOURCE_SHAPE);
  const user = decode(url.username, SOURCE_SHAPE);
  const isPlain = url.search === "" && url.hash === "" && !url.pathname.slice(1).includes("/");
  if (!isPlain || user === "" || database === "" || url.hostname === "") {
    throw new TidemarkError("USAGE", SOURCE_SHAPE);
  }
  const password = url.password === "" ? undefined : decode(url.password, SOURCE_SHAPE);
  return {
    document: {
      source: {
        host: url.hostname.replace(/^\[|\]$/g, ""),
        ...(url.port === "" ? {} : { port: Number(url.port) }),
        user,
        password: password ?? environment["TIDEMARK_MYSQL_PASSWORD"] ?? "",
      },
      pipelines: [
        {
          name: form.name ?? pipelineName(database),
          tables: [`${database}.*`],
          sink: targetSink(form.target),
        },
      ],
    },
    hasPassword: password !== undefined,
  };
}

/** `Web Shop` → `web_shop`. */
function pipelineName(database: string): string {
  return database
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]/gu, "_")
    .slice(0, 100);
}

function targetSink(target: string): Readonly<Record<string, unknown>> {
  if (target === "stdout:" || target === "stdout") return { type: "stdout" };
  if (/^file:./.test(target)) return { type: "file", path: filePath(target) };
  const url = parseUrl(target, "kafka:", TARGET_SHAPE);
  const isPlain = url.search === "" && url.hash === "" && /^\/?$/.test(url.pathname);
  if (!isPlain || url.username !== "" || brokerFault(url.host) !== undefined) {
    throw new TidemarkError("USAGE", TARGET_SHAPE);
  }
  return { type: "kafka", brokers: [url.host] };
}

/** `file:./x` and `file:x` are relative to the working directory, which URL does not know. */
function filePath(target: string): string {
  return decode(target.replace(/^file:(\/\/(?=\/))?/, ""), TARGET_SHAPE);
}

function parseUrl(text: string, protocol: string, shape: string): URL {
  if (!URL.canParse(text)) throw new TidemarkError("USAGE", shape);
  const url = new URL(text);
  if (url.protocol !== protocol) throw new TidemarkError("USAGE", shape);
  return url;
}

function decode(text: string, shape: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new TidemarkError("USAGE", shape);
  }
}
