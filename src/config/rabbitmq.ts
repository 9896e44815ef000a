/** The RabbitMQ sink's settings that depend on more than one field, and the address in a URL. */
import { isLoopback } from "./broker.ts";
import type { RabbitmqSinkConfig } from "./config.ts";
import type { Path } from "./faults.ts";
import { readSecret, readTls, type Collector } from "./files.ts";
import type { RabbitmqSinkSettings } from "./schema.ts";

const PORT = 5672;
const TLS_PORT = 5671;
const ROUTING_KEY_BYTES_MAX = 255;

/** What a URL says; what it leaves out is undefined. */
export interface RabbitmqUrl {
  readonly encrypted: boolean;
  readonly host: string;
  readonly port: number | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly vhost: string | undefined;
}

/** `amqps://user:password@host:5671/vhost`; undefined if it is none. */
export function parseRabbitmqUrl(text: string): RabbitmqUrl | undefined {
  if (!/^amqps?:\/\//.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.hostname === "" || url.search !== "" || url.hash !== "" || url.port === "0")
    return undefined;
  const path = url.pathname.slice(1);
  if (path.includes("/")) return undefined;
  try {
    const part = (value: string): string | undefined =>
      value === "" ? undefined : decodeURIComponent(value);
    return {
      encrypted: url.protocol === "amqps:",
      host: url.hostname.replace(/^\[|\]$/g, ""),
      port: url.port === "" ? undefined : Number(url.port),
      user: part(url.username),
      password: part(url.password),
      vhost: part(path),
    };
  } catch {
    return undefined;
  }
}

export function rabbitmqUrlFault(text: string): string | undefined {
  return parseRabbitmqUrl(text) === undefined
    ? "expected amqp://user:password@host:5672/vhost or amqps://… (special characters percent-encoded)"
    : undefined;
}

export function routingKeyFault(template: string): string | undefined {
  const fixed = template.replaceAll("{database}", "x").replaceAll("{table}", "x");
  if (/[{}]/.test(fixed)) return "the only placeholders are {database} and {table}";
  return Buffer.byteLength(fixed) > ROUTING_KEY_BYTES_MAX
    ? `a routing key has at most ${ROUTING_KEY_BYTES_MAX} bytes`
    : undefined;
}

const IN_URL = ["host", "port", "vhost", "user", "password"] as const;

export function normaliseRabbitmq(
  settings: RabbitmqSinkSettings,
  path: Path,
  collector: Collector,
): RabbitmqSinkConfig {
  const { faults } = collector;
  const url = settings.url === undefined ? undefined : parseRabbitmqUrl(settings.url);
  if (settings.url === undefined && settings.host === undefined) {
    faults.add([...path, "host"], "is required, or url");
  }
  for (const key of settings.url === undefined ? [] : IN_URL) {
    if (settings[key] !== undefined) faults.add([...path, key], "belongs into url, which is there");
  }
  if (url?.encrypted === false && settings.tls !== undefined && settings.tls.mode !== "disabled") {
    faults.add([...path, "tls"], "needs a url that begins with amqps:");
  }
  const isEncrypted = settings.tls !== undefined || url?.encrypted === true;
  const tls = readTls(
    settings.tls ?? { mode: isEncrypted ? "verify_identity" : "disabled" },
    [...path, "tls"],
    collector,
  );
  const password = url?.password ?? readSecret(settings, path, collector);
  const host = url?.host ?? settings.host ?? "";
  const user = url?.user ?? settings.user ?? "guest";
  if (password === undefined && user !== "guest") {
    faults.add([...path, "password"], "is required, or password_file");
  }
  if (host !== "" && tls.mode === "disabled" && !isLoopback(host) && !settings.allow_without_tls) {
    faults.add(
      [...path, "tls"],
      "without it the password is sent unencrypted: set tls: {}, or accept it with allow_without_tls: true",
    );
  }
  const { exchange, routing_key, persistent, declare, heartbeat_s } = settings;
  return {
    type: "rabbitmq",
    host,
    port: url?.port ?? settings.port ?? (tls.mode === "disabled" ? PORT : TLS_PORT),
    vhost: url?.vhost ?? settings.vhost ?? "/",
    user,
    password: password ?? "guest",
    tls,
    exchange,
    routingKey: routing_key,
    persistent,
    declare: {
      exchangeType: declare.exchange_type,
      queues: declare.queues,
      queueType: declare.queue_type,
    },
    heartbeatS: heartbeat_s,
    delivery: "at-least-once",
  };
}
