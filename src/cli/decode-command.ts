/** `tidemark decode`: what a server's binlog says, or a file of it, as lines of JSON on standard output. */
import { once } from "node:events";
import { readEnvironment } from "../config/environment.ts";
import { loadConfig } from "../config/load.ts";
import { parsePlace } from "../config/place.ts";
import { tablePatternFault } from "../config/table-pattern.ts";
import { TidemarkError } from "../core/errors.ts";
import { decodeFiles, decodeServer } from "../decode/decode.ts";
import type { Reporter } from "./reporter.ts";

export interface DecodeFlags {
  readonly start?: string;
  readonly tables?: readonly string[];
  readonly limit: number;
  readonly set?: readonly string[];
}

export async function decodeCommand(
  sources: readonly string[],
  flags: DecodeFlags,
  reporter: Reporter,
): Promise<void> {
  for (const pattern of flags.tables ?? []) {
    const fault = tablePatternFault(pattern);
    if (fault !== undefined) throw new TidemarkError("USAGE", `--tables: ${fault}.`);
  }
  const [source = ""] = sources;
  if (sources.some(isUrl)) {
    if (sources.length > 1) throw new TidemarkError("USAGE", "decode reads one server, or files.");
    await fromServer(source, flags, reporter);
  } else await fromFiles(sources, flags, reporter);
}

function isUrl(source: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(source);
}

async function fromServer(source: string, flags: DecodeFlags, reporter: Reporter): Promise<void> {
  const { url, tables: all } = wholeSource(source);
  const overrides = flags.set ?? [];
  // A target is part of the short form; nothing is sent anywhere.
  const request = { source: url, target: "stdout:", name: "decode", overrides };
  const { config, warnings } = loadConfig(request, readEnvironment());
  for (const warning of warnings) reporter.warn(warning);
  await decodeServer({
    connection: config.source,
    start: parsePlace(flags.start ?? "latest"),
    tables: flags.tables ?? all ?? config.pipelines[0]?.tables ?? [],
    limit: flags.limit,
    ...standardOutput(),
  });
}

async function fromFiles(
  paths: readonly string[],
  flags: DecodeFlags,
  reporter: Reporter,
): Promise<void> {
  if (flags.start !== undefined || flags.set !== undefined) {
    const option = flags.start === undefined ? "--set" : "--start";
    throw new TidemarkError("USAGE", `${option} is for a server: files are read whole.`);
  }
  await decodeFiles({
    paths,
    tables: flags.tables ?? ["*.*"],
    limit: flags.limit,
    warn: sentence => reporter.warn(sentence),
    ...standardOutput(),
  });
}

/** Until somebody ends it: with a signal, or by ending the program that reads it. */
function standardOutput(): { signal: AbortSignal; write: (line: Buffer) => Promise<void> } {
  const ending = new AbortController();
  const end = (): void => ending.abort();
  process.once("SIGINT", end);
  process.once("SIGTERM", end);
  process.stdout.once("error", end); // Its reader is gone: `tidemark decode … | head`.
  return {
    signal: ending.signal,
    write: async line => {
      if (process.stdout.write(line)) return;
      await once(process.stdout, "drain", { signal: ending.signal }).catch(() => undefined);
    },
  };
}

/** The database may be left out here: then every table is shown. */
function wholeSource(source: string): { url: string; tables: readonly string[] | undefined } {
  if (!URL.canParse(source)) return { url: source, tables: undefined };
  const url = new URL(source);
  if (url.pathname !== "" && url.pathname !== "/") return { url: source, tables: undefined };
  url.pathname = "/all";
  return { url: url.href, tables: ["*.*"] };
}

const LIMIT_MAX = Number.MAX_SAFE_INTEGER;

export function parseLimit(value: string): number {
  const limit = /^\d+$/.test(value) ? Number(value) : 0;
  if (limit > 0 && limit <= LIMIT_MAX) return limit;
  throw new TidemarkError("USAGE", "--limit expects a whole number above 0.");
}
