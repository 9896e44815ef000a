/**
 * One endpoint: sends a request and tells what came of it. It never throws, never follows a redirect, and
 * is done within `timeoutMs` whatever the other side does. Of an answer only the status and `Retry-After`
 * count; the body is read up to a bound, so that the connection can be used again, and dropped.
 */
import type { Dispatcher, Pool } from "undici";
import type { Clock } from "../core/clock.ts";
import { systemCode } from "../core/files.ts";
import { AddressRefused, makeConnector, type ConnectorOptions } from "./webhook-connector.ts";
import { signatures, signingKey, webhookId } from "./webhook-signature.ts";

export type Outcome =
  | { readonly kind: "taken" }
  | {
      readonly kind: "failed";
      /** What the endpoint did, to stand behind its name in a sentence. */
      readonly reason: string;
      /** Undefined: there was no answer. */
      readonly status: number | undefined;
      /** Whether a connection to the endpoint was there. */
      readonly connected: boolean;
      /** For how long it asks to be left alone. */
      readonly retryAfterMs: number | undefined;
    };

export interface EndpointOptions extends ConnectorOptions {
  readonly url: string;
  readonly secrets: readonly string[];
  /** Connections, each with one request at a time. */
  readonly concurrency: number;
  readonly clock: Clock;
}

const USER_AGENT = `tidemark/${__VERSION__}`;
const ANSWER_BYTES_MAX = 64 * 1024;
const HEADER_BYTES_MAX = 16 * 1024;
/** Nobody is left alone for longer, whatever they ask. */
const RETRY_AFTER_MAX_MS = 3_600_000;
const GONE_IDLE_MS = 10_000;

export class Endpoint {
  /** Without path and query, which may hold a token. */
  readonly origin: string;
  readonly #options: EndpointOptions;
  readonly #path: string;
  readonly #authorization: string | undefined;
  readonly #keys: readonly Buffer[];
  #pool: Pool | undefined;

  constructor(options: EndpointOptions) {
    const { origin, pathname, search, username, password } = new URL(options.url);
    this.#options = options;
    this.origin = origin;
    this.#path = pathname + search;
    this.#keys = options.secrets.map(signingKey);
    const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    if (login !== ":") this.#authorization = `Basic ${Buffer.from(login).toString("base64")}`;
  }

  /** Connects nowhere yet. The client is loaded here: most pipelines do without it. */
  async open(): Promise<void> {
    const { Pool, buildConnector } = await import("undici");
    const { concurrency, timeoutMs } = this.#options;
    this.#pool = new Pool(this.origin, {
      connections: concurrency,
      pipelining: 1,
      connect: makeConnector(buildConnector, this.#options),
      // Ours comes first; these only keep the client's own, longer ones away.
      headersTimeout: 2 * timeoutMs,
      bodyTimeout: 2 * timeoutMs,
      keepAliveTimeout: GONE_IDLE_MS,
      maxHeaderSize: HEADER_BYTES_MAX,
    });
  }

  async close(): Promise<void> {
    await this.#pool?.destroy();
  }

  post(messageId: string, body: Buffer): Promise<Outcome> {
    const { clock, timeoutMs } = this.#options;
    return new Promise(resolve => {
      const answer = new Answer(clock, timeoutMs, resolve);
      try {
        const headers = this.#headers(messageId, body);
        const request = { path: this.#path, method: "POST" as const, headers, body };
        this.#pool?.dispatch(request, answer);
      } catch (error) {
        answer.onError(error as Error);
      }
    });
  }

  /** Names and values in turn, which the client takes as they stand. */
  #headers(messageId: string, body: Buffer): string[] {
    const id = webhookId(messageId);
    const timestampS = Math.floor(this.#options.clock.wallMs() / 1000);
    const headers = ["content-type", "application/json", "user-agent", USER_AGENT];
    headers.push("webhook-id", id, "webhook-timestamp", String(timestampS));
    if (this.#keys.length > 0) {
      headers.push("webhook-signature", signatures(this.#keys, { id, timestampS, body }));
    }
    if (this.#authorization !== undefined) headers.push("authorization", this.#authorization);
    return headers;
  }
}

/** Follows one request to its end, which comes once. */
class Answer implements Dispatcher.DispatchHandlers {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #settle: (outcome: Outcome) => void;
  readonly #cancel: () => void;
  #abort: (() => void) | undefined;
  #isSettled = false;
  #status: number | undefined;
  #retryAfter: string | undefined;
  #bytes = 0;

  constructor(clock: Clock, timeoutMs: number, settle: (outcome: Outcome) => void) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#settle = settle;
    this.#cancel = clock.after(timeoutMs, () => this.#timeOut());
  }

  onConnect(abort: () => void): void {
    this.#abort = abort;
    // The time was over while it waited for a connection: it must not be sent any more.
    if (this.#isSettled) abort();
  }

  onHeaders(status: number, headers: Buffer[]): boolean {
    if (status < 200) return true;
    this.#status = status;
    for (let i = 0; i < headers.length; i += 2) {
      if (headers[i]?.toString("latin1").toLowerCase() !== "retry-after") continue;
      this.#retryAfter = headers[i + 1]?.toString("latin1");
    }
    return true;
  }

  onData(chunk: Buffer): boolean {
    this.#bytes += chunk.length;
    if (this.#bytes <= ANSWER_BYTES_MAX) return true;
    // The status is known, and the rest might never end.
    this.#answered();
    this.#abort?.();
    return true;
  }

  onComplete(): void {
    this.#answered();
  }

  onError(error: Error): void {
    this.#fail(reasonOf(error));
  }

  #timeOut(): void {
    const seconds = Math.round(this.#timeoutMs / 100) / 10;
    const what = this.#status === undefined ? "has not answered" : "has not finished its answer";
    this.#fail(`${what} within ${seconds} s`);
    this.#abort?.();
  }

  #answered(): void {
    const status = this.#status ?? 0;
    if (status >= 200 && status < 300) this.#end({ kind: "taken" });
    else if (status >= 300 && status < 400) {
      this.#fail(`answered ${status}, a redirect, which is not followed`);
    } else this.#fail(`answered ${status}`);
  }

  #fail(reason: string): void {
    const retryAfterMs = parseRetryAfter(this.#retryAfter, this.#clock.wallMs());
    const connected = this.#abort !== undefined;
    this.#end({ kind: "failed", reason, status: this.#status, connected, retryAfterMs });
  }

  #end(outcome: Outcome): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#cancel();
    this.#settle(outcome);
  }
}

/** Seconds, or a date. */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  const ms = /^\d{1,10}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), RETRY_AFTER_MAX_MS);
}

/** Text of the client's error is not used: it may repeat what the other side has sent. */
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "cannot be reached: nothing listens at its address",
  ENOTFOUND: "cannot be reached: its name is not known",
  EAI_AGAIN: "cannot be reached: its name cannot be looked up now",
  EHOSTUNREACH: "cannot be reached: no way leads to its address",
  ENETUNREACH: "cannot be reached: no way leads to its network",
  ETIMEDOUT: "cannot be reached: no connection came about in time",
  UND_ERR_CONNECT_TIMEOUT: "cannot be reached: no connection came about in time",
  ECONNRESET: "closed the connection",
  EPIPE: "closed the connection",
  UND_ERR_SOCKET: "closed the connection",
  UND_ERR_HEADERS_OVERFLOW: "answered with headers that are too long",
  ERR_TLS_CERT_ALTNAME_INVALID: "has a certificate for another name",
  CERT_HAS_EXPIRED: "has a certificate that has expired",
  DEPTH_ZERO_SELF_SIGNED_CERT: "has a certificate that no known authority has signed",
  SELF_SIGNED_CERT_IN_CHAIN: "has a certificate that no known authority has signed",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "has a certificate that no known authority has signed",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "has a certificate that no known authority has signed",
};

export function reasonOf(error: Error): string {
  if (error instanceof AddressRefused) return `may not be asked: ${error.message}`;
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  if (code.startsWith("HPE_")) return "did not answer in HTTP";
  if (code.startsWith("ERR_SSL_") || code === "EPROTO")
    return "does not speak TLS, or no version of ours";
  const known = REASONS[code];
  if (known !== undefined) return known;
  return systemCode(error) === undefined && code === ""
    ? "could not be asked"
    : `could not be asked (${code})`;
}
