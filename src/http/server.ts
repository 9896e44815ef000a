/**
 * A small HTTP server for probes and for Prometheus: GET and HEAD, four paths, no state.
 *
 * It must never be a burden to the stream of changes: few connections, short time-outs in both directions,
 * and each answer is made in one go.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isIPv6 } from "node:net";
import { TidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { MetricsPage } from "../metrics/metrics.ts";
import { healthPage, livePage, metricsPage, readyPage, type Page, type Sight } from "./pages.ts";

export interface HttpServerOptions {
  readonly host: string;
  readonly port: number;
  readonly healthPath: string;
  readonly sight: () => Sight;
  readonly logger: Logger;
  /** For a request to arrive, and for an answer to be taken. */
  readonly timeoutMs?: number;
  readonly connectionsMax?: number;
}

const TIMEOUT_MS = 5_000;
const CONNECTIONS_MAX = 64;
const HEADER_BYTES_MAX = 8 * 1024;
const REQUESTS_PER_CONNECTION = 1_000;

type Answer = (sight: Sight) => Page | Promise<Page>;

export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #server: Server;
  readonly #answers: ReadonlyMap<string, Answer>;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    const metrics = new MetricsPage();
    this.#answers = new Map<string, Answer>([
      [options.healthPath, healthPage],
      ["/live", livePage],
      ["/ready", readyPage],
      ["/metrics", sight => metricsPage(metrics, sight)],
    ]);
    const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.#server = createServer({
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: timeoutMs,
      requestTimeout: timeoutMs,
      keepAliveTimeout: timeoutMs,
      connectionsCheckingInterval: Math.min(1_000, timeoutMs),
    });
    this.#server.maxConnections = options.connectionsMax ?? CONNECTIONS_MAX;
    this.#server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION;
    // A client that takes nothing of an answer, or says nothing, is sent away.
    this.#server.setTimeout(2 * timeoutMs);
    this.#server.on("request", (request, response) => void this.#serve(request, response));
  }

  /** @throws TidemarkError CONFIG_INVALID if the address cannot be listened on. */
  async open(): Promise<void> {
    const { host, port, logger } = this.#options;
    await new Promise<void>((resolve, reject) => {
      const onError = (error: NodeJS.ErrnoException): void =>
        reject(cannotListen(error, host, port));
      this.#server.once("error", onError);
      this.#server.listen(port, host, () => {
        this.#server.off("error", onError);
        resolve();
      });
    });
    this.#server.on("error", error => logger.warn({ reason: error.message }, "the HTTP server"));
    logger.info({ url: this.url }, "listens");
  }

  /** Where it listens. */
  get url(): string {
    const address = this.#server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const { host } = this.#options;
    return `http://${isIPv6(host) ? `[${host}]` : host}:${port}`;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader("Cache-Control", "no-store");
    response.setHeader("X-Content-Type-Options", "nosniff");
    request.resume(); // A body is not read, and must not hold up the next request.
    const [path = ""] = (request.url ?? "").split("?", 1);
    const answer = this.#answers.get(path);
    if (answer === undefined) {
      const paths = [...this.#answers.keys()].join(", ");
      send(response, 404, TEXT, `There is nothing here. There is: ${paths}\n`);
      return;
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("Allow", "GET, HEAD");
      send(response, 405, TEXT, "Only GET and HEAD are answered.\n");
      return;
    }
    try {
      const { status, type, body } = await answer(this.#options.sight());
      send(response, status, type, body);
    } catch (error) {
      // The probe must see that something is wrong; the stream of changes goes on.
      this.#options.logger.warn({ error }, "an HTTP request could not be answered");
      send(response, 500, TEXT, "The answer could not be made; the log says why.\n");
    }
  }
}

const TEXT = "text/plain; charset=utf-8";

/** Node leaves the body out by itself where HEAD was asked. */
function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { "Content-Type": type, "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}

function cannotListen(error: NodeJS.ErrnoException, host: string, port: number): TidemarkError {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `Port ${port} of ${host} is in use by another program: choose another http.port.`,
    EACCES: `This user may not listen on port ${port} of ${host}: choose an http.port above 1023.`,
    EADDRNOTAVAIL: `This machine does not have the address ${host}: change http.host.`,
    ENOTFOUND: `The name ${host} is not known: change http.host.`,
  };
  const sentence =
    reasons[error.code ?? ""] ?? `${host}:${port} cannot be listened on: ${error.message}.`;
  return new TidemarkError("CONFIG_INVALID", sentence, { cause: error });
}
