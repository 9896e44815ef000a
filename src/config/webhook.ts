/** The sink of type webhook: what a person writes, and what the program makes of it. */
import { z } from "zod";
import { addressKind } from "../core/addresses.ts";
import { isLoopback } from "./broker.ts";
import type { EventKind, ParkConfig, WebhookRouteConfig, WebhookSinkConfig } from "./config.ts";
import type { Path } from "./faults.ts";
import { readSecretLines, readTls, type Collector } from "./files.ts";
import {
  checked,
  choice,
  flag,
  integer,
  parseSize,
  secret,
  size,
  text,
  textMatching,
} from "./scalars.ts";
import { tablePatternFault } from "./table-pattern.ts";

export const EVENTS = ["insert", "update", "delete", "truncate"] as const;
/** 24 to 64 bytes are advised; shorter ones are in use. */
const SECRET_BYTES_MIN = 16;
const SECRET_BYTES_MAX = 256;

const webhookSecret = (): z.ZodString => checked(secret(), secretFault);

/** What is wrong with a secret; undefined if nothing is. */
function secretFault(value: string): string | undefined {
  const expected = 'expected "whsec_" and 16 to 256 bytes in base64';
  const [, encoded] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(value) ?? [];
  if (encoded === undefined) return expected;
  const { length } = Buffer.from(encoded, "base64");
  return length < SECRET_BYTES_MIN || length > SECRET_BYTES_MAX ? expected : undefined;
}

function urlFault(value: string): string | undefined {
  const expected = "expected a URL such as https://api.example.com/hook";
  if (!URL.canParse(value)) return expected;
  const { protocol, hostname, username, password } = new URL(value);
  if (!isDecodable(username) || !isDecodable(password)) {
    return "user and password must be percent-encoded";
  }
  if ((protocol !== "https:" && protocol !== "http:") || hostname === "") return expected;
  return undefined;
}

function isDecodable(part: string): boolean {
  try {
    decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}

const routeSchema = z.strictObject({
  id: textMatching(/^[a-z0-9_-]{1,100}$/, "a name of a-z, 0-9, _ and -").describe(
    "Unique name of the route, for logs and parked events. Characters: a-z, 0-9, `_` and `-`.",
  ),
  tables: z
    .array(checked(text(), tablePatternFault), { error: 'expected a list such as ["shop.orders"]' })
    .min(1, { error: "expected at least one pattern" })
    .refine(patterns => patterns.some(pattern => !pattern.startsWith("!")), {
      error: 'expected at least one pattern without "!"',
    })
    .default(["*.*"])
    .describe("Which of the captured tables, with the same patterns as `tables` of the pipeline."),
  events: z
    .array(choice(EVENTS), { error: "expected a list such as [insert, update, delete]" })
    .min(1, { error: "expected at least one of insert, update, delete" })
    .default([...EVENTS])
    .describe("Which kinds of change, of those that the pipeline sends."),
  url: checked(text(), urlFault)
    .meta({ secret: "url path" })
    .describe(
      "Where to send them. Only its host is ever printed. User and password in it are sent as " +
        "`authorization: Basic …`.",
    ),
  secrets: z
    .array(webhookSecret(), { error: 'expected a list such as ["${WEBHOOK_SECRET}"]' })
    .max(10, { error: "expected at most 10 secrets" })
    .default([])
    .describe(
      "Secrets to sign with, as `whsec_…`; best written as `${WEBHOOK_SECRET}`. With several, each " +
        "request carries a signature of each, so that the receiver can change from one to the next.",
    ),
  secrets_file: text()
    .optional()
    .describe("File that holds the secrets, one a line, instead of `secrets`."),
});

const parkSchema = z.strictObject({
  dir: text().describe("Folder for their files; it is made if it does not exist."),
  max_size: size("1MB", "1024GB")
    .default("1GB")
    .describe("Most that one route may keep. When that is reached, its events wait in the queue."),
});

export const webhookSinkSchema = z
  .strictObject({
    type: z.literal("webhook"),
    routes: z
      .array(routeSchema, { error: "expected a list of routes" })
      .min(1, { error: "expected at least one route" })
      .max(1000, { error: "expected at most 1000 routes" })
      .describe(
        "A change goes to every route that wants it, and is delivered when all have taken it.",
      ),
    concurrency: integer(1, 1000)
      .default(32)
      .describe("Requests in flight at a time for each route; of one row never more than one."),
    timeout_ms: integer(100, 300_000)
      .default(15_000)
      .describe("Longest time for one request, from connecting to the end of the answer."),
    retries: z
      .union([z.literal("unlimited"), integer(0, 1_000_000)], {
        error: "expected unlimited, or a whole number from 0 to 1000000",
      })
      .default("unlimited")
      .describe(
        "How often a request that failed is repeated. After that many the message is refused, as at " +
          "once after an answer 410 (Gone): see MESSAGE_REFUSED.",
      ),
    allow_http: flag()
      .default(false)
      .describe("Lets URLs begin with `http:`; rows then go over the network unencrypted."),
    allow_private: flag()
      .default(false)
      .describe(
        "Lets requests go to loopback and private addresses. Link-local, multicast and reserved ones " +
          "are never allowed.",
      ),
    tls: z
      .strictObject({
        ca: text()
          .optional()
          .describe("PEM file with the authorities to trust. Default: the well-known ones."),
        cert: text()
          .optional()
          .describe("PEM file with our own certificate, if a server asks for one."),
        key: text().optional().describe("PEM file with the private key of `cert`."),
      })
      .optional()
      .describe("Certificates. They are always checked, and always have to name the host."),
    park: parkSchema
      .optional()
      .describe(
        "Where events of a row or a route that fails are kept, so that nothing else waits for them; " +
          "they are sent, in order, when it is mended. Default: they wait in the queue.",
      ),
  })
  .describe(
    "Each message is the body of a POST request, signed as Standard Webhooks says: see [webhooks.md](webhooks.md).",
  );

type WebhookSinkSettings = z.output<typeof webhookSinkSchema>;
type RouteSettings = WebhookSinkSettings["routes"][number];

export function normaliseWebhook(
  settings: WebhookSinkSettings,
  path: Path,
  collector: Collector,
): WebhookSinkConfig {
  const { park, retries } = settings;
  const seen = new Set<string>();
  const routes = settings.routes.map((route, index): WebhookRouteConfig => {
    const where = [...path, "routes", index];
    if (seen.has(route.id)) {
      collector.faults.add([...where, "id"], "another route has this id already");
    }
    seen.add(route.id);
    checkUrl(route.url, settings, [...where, "url"], collector);
    return {
      id: route.id,
      tables: route.tables,
      events: EVENTS.filter((event): event is EventKind => route.events.includes(event)),
      url: route.url,
      secrets: readSecrets(route, where, collector),
    };
  });
  return {
    type: "webhook",
    delivery: "at-least-once",
    routes,
    concurrency: settings.concurrency,
    timeoutMs: settings.timeout_ms,
    retries: retries === "unlimited" ? undefined : retries,
    allowPrivate: settings.allow_private,
    tls: readTls({ mode: "verify_identity", ...settings.tls }, [...path, "tls"], collector),
    park: park && normalisePark(park),
  };
}

function normalisePark(park: z.output<typeof parkSchema>): ParkConfig {
  return { dir: park.dir, maxBytes: parseSize(park.max_size) ?? 0 };
}

/** What a name leads to is known only when it is connected to; this sees what is written. */
function checkUrl(
  url: string,
  settings: WebhookSinkSettings,
  path: Path,
  { faults }: Collector,
): void {
  const { protocol, hostname } = new URL(url);
  const kind = addressKind(hostname) ?? (isLoopback(hostname) ? "private" : "public");
  if (protocol === "http:" && !settings.allow_http) {
    faults.add(path, "expected https; http would send rows unencrypted (allow_http: true)");
  } else if (kind === "special") {
    faults.add(path, "a link-local, multicast or reserved address cannot be a webhook's");
  } else if (kind === "private" && !settings.allow_private) {
    faults.add(path, "this is a loopback or private address; it needs allow_private: true");
  }
}

function readSecrets(route: RouteSettings, path: Path, collector: Collector): readonly string[] {
  if (route.secrets_file === undefined) return route.secrets;
  const where = [...path, "secrets_file"];
  if (route.secrets.length > 0) {
    collector.faults.add(where, "cannot be there together with secrets");
    return [];
  }
  const lines = readSecretLines(route.secrets_file, where, collector);
  if (lines === undefined) return [];
  const fault = lines.length === 0 ? "holds no secret" : lines.map(secretFault).find(Boolean);
  if (fault !== undefined) collector.faults.add(where, fault);
  return lines;
}
