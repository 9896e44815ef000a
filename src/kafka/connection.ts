/**
 * One connection to one broker: kafkajs's transport (framing, TLS, SASL, protocol versions) without its
 * cluster, producer and consumer, whose retries reuse sequence numbers and cannot be stopped.
 *
 * A connection is used once: whatever goes wrong on it ends it, and the next request opens a new one. So
 * no answer to an old request is ever taken for that of a new one.
 */
import net from "node:net";
import tls from "node:tls";
import KafkajsConnection from "kafkajs/src/network/connection.js";
import RequestQueue from "kafkajs/src/network/requestQueue/index.js";
import kafkajsLoggers from "kafkajs/src/loggers/index.js";
import kafkajsProtocol from "kafkajs/src/protocol/requests/index.js";
import type { SASLOptions } from "kafkajs";
import type { Logger } from "../core/logger.ts";
import { KafkaResponseError, KafkaUnreachableError } from "./kafka-errors.ts";

export interface ConnectionOptions {
  readonly clientId: string;
  readonly ssl?: tls.ConnectionOptions | boolean | undefined;
  readonly sasl?: SASLOptions | undefined;
  /** Covers TCP, TLS, versions and login together. */
  readonly connectionTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly logger: Logger;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

let idleLoopMended = false;

/** kafkajs looks for waiting requests every millisecond, for ever, even if there are none. */
export function mendIdleLoop(): void {
  if (idleLoopMended) return;
  idleLoopMended = true;
  RequestQueue.prototype.scheduleCheckPendingRequests = function (this: RequestQueue) {
    if (this.throttleCheckTimeoutId !== null || this.pending.length === 0) return;
    const delayMs = this.throttledUntil - Date.now();
    this.throttleCheckTimeoutId = setTimeout(
      () => {
        this.throttleCheckTimeoutId = null;
        this.checkPendingRequests();
      },
      delayMs > 0 ? delayMs : 10,
    );
  };
}

const API_VERSIONS = 18;
const SASL_AUTHENTICATE = 36;

export class BrokerConnection {
  readonly address: Address;
  readonly #connection: KafkajsConnection;
  #socket: net.Socket | undefined;
  #versions = new Map<number, number>();
  #open = true;

  /** @throws KafkaUnreachableError, or kafkajs's error if the login is refused. */
  static async open(
    options: ConnectionOptions,
    address: Address,
    signal: AbortSignal,
  ): Promise<BrokerConnection> {
    signal.throwIfAborted();
    const made = new BrokerConnection(options, address);
    const destroy = (): void => made.destroy();
    const timer = setTimeout(destroy, options.connectionTimeoutMs);
    signal.addEventListener("abort", destroy, { once: true });
    try {
      await made.#connect();
      signal.throwIfAborted();
      return made;
    } catch (error) {
      made.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", destroy);
    }
  }

  private constructor(options: ConnectionOptions, address: Address) {
    mendIdleLoop();
    this.address = address;
    this.#connection = new KafkajsConnection({
      ...address,
      clientId: options.clientId,
      ssl: options.ssl === true ? {} : options.ssl || null,
      sasl: options.sasl === undefined ? null : { ...options.sasl },
      connectionTimeout: options.connectionTimeoutMs,
      requestTimeout: options.requestTimeoutMs,
      enforceRequestTimeout: true,
      logger: kafkajsLogger(options.logger),
      socketFactory: (made: SocketRequest) => this.#makeSocket(made),
    });
  }

  get isOpen(): boolean {
    return this.#open && this.#connection.isConnected();
  }

  #makeSocket({ host, port, ssl, onConnect }: SocketRequest): net.Socket {
    const socket = ssl
      ? tls.connect(
          { host, port, ...(net.isIP(host) ? {} : { servername: host }), ...ssl },
          onConnect,
        )
      : net.connect({ host, port }, onConnect);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    socket.once("close", () => (this.#open = false));
    this.#socket = socket;
    return socket;
  }

  async #connect(): Promise<void> {
    await this.#connection.connect();
    const answer = (await this.#exchange(definition("ApiVersions", 2)({}))) as {
      apiVersions: readonly { apiKey: number; minVersion: number; maxVersion: number }[];
    };
    this.#versions = new Map(answer.apiVersions.map(api => [api.apiKey, api.maxVersion]));
    this.#connection.setVersions(
      Object.fromEntries(answer.apiVersions.map(api => [api.apiKey, api])),
    );
    this.#connection.setSupportAuthenticationProtocol(this.#versions.has(SASL_AUTHENTICATE));
    await this.#authenticate();
  }

  /** kafkajs calls every failure of a login an authentication error, also a lost connection. */
  async #authenticate(): Promise<void> {
    const connection = this.#connection;
    const send = connection.send.bind(connection);
    let cause: unknown;
    connection.send = async exchange => {
      try {
        return await send(exchange);
      } catch (error) {
        cause = error;
        throw error;
      }
    };
    try {
      await connection.authenticate();
    } catch (error) {
      throw cause ?? error;
    } finally {
      connection.send = send;
    }
  }

  /** The newest version of a request that both we and the broker know. */
  version(apiKey: number, ourMax: number): number {
    const theirs = this.#versions.get(apiKey);
    if (theirs === undefined) throw new KafkaResponseError(35, `API ${apiKey}`);
    return Math.min(ourMax, theirs);
  }

  /** Sends one of the requests that kafkajs knows. The answer is not checked for error codes. */
  async request(api: Api, args: Readonly<Record<string, unknown>>): Promise<unknown> {
    const { apiKey, name, versionMax } = api;
    return this.#exchange(definition(name, this.version(apiKey, versionMax))(args));
  }

  /** Sends a request that we write and read ourselves. */
  async exchange(exchange: KafkajsExchange): Promise<unknown> {
    return this.#exchange(exchange);
  }

  /**
   * Sends a large request that we write ourselves, as it stands: kafkajs would copy it twice, each time into
   * a buffer of up to twice its size. The answer is not checked for error codes.
   */
  async send(request: RequestName, body: readonly Buffer[], { decode }: Decoder): Promise<unknown> {
    return this.#endingWithFault(async () => {
      const connection = this.#connection;
      await connection.authenticate(); // Only does something where a login has run out.
      if (!connection.isConnected()) throw new KafkaUnreachableError(`${this.#name} has gone`);
      const { payload } = await this.#push(request, body);
      const answer = (await decode(payload)) as { clientSideThrottleTime?: number };
      connection.requestQueue.maybeThrottle(answer.clientSideThrottleTime ?? 0);
      return answer;
    });
  }

  #push(request: RequestName, body: readonly Buffer[]): Promise<{ readonly payload: Buffer }> {
    const { requestQueue, clientId } = this.#connection;
    const correlationId = this.#connection.nextCorrelationId();
    return new Promise((resolve, reject) => {
      requestQueue.push({
        entry: { ...request, correlationId, resolve, reject },
        expectResponse: true,
        requestTimeout: null,
        sendRequest: () => {
          const socket = this.#socket as net.Socket;
          socket.cork();
          socket.write(requestHeader(request, { correlationId, clientId }, body));
          for (const part of body) socket.write(part);
          socket.uncork();
        },
      });
    });
  }

  async #exchange({ request, response }: KafkajsExchange): Promise<unknown> {
    return this.#endingWithFault(() =>
      this.#connection.send({
        request,
        response: { decode: response.decode, parse: decoded => Promise.resolve(decoded) },
        logResponseError: false,
      }),
    );
  }

  async #endingWithFault<T>(work: () => Promise<T>): Promise<T> {
    if (!this.#open) throw new KafkaUnreachableError(`no connection to ${this.#name}`);
    try {
      return await work();
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  get #name(): string {
    return `${this.address.host}:${this.address.port}`;
  }

  /** Ends the connection at once; requests under way are rejected. */
  destroy(): void {
    this.#open = false;
    // Only an error makes kafkajs reject what waits for an answer; "close" alone it does not see.
    this.#socket?.destroy(new KafkaUnreachableError(`the connection to ${this.#name} was ended`));
  }
}

/** What stands in front of each request: its size without this number, what it is, and who asks. */
function requestHeader(
  { apiKey, apiVersion }: RequestName,
  { correlationId, clientId }: { correlationId: number; clientId: string },
  body: readonly Buffer[],
): Buffer {
  const name = Buffer.from(clientId);
  const header = Buffer.allocUnsafe(4 + 2 + 2 + 4 + 2 + name.length);
  const size = body.reduce((bytes, part) => bytes + part.length, header.length - 4);
  let at = header.writeInt32BE(size, 0);
  at = header.writeInt16BE(apiKey, at);
  at = header.writeInt16BE(apiVersion, at);
  at = header.writeInt32BE(correlationId, at);
  at = header.writeInt16BE(name.length, at);
  name.copy(header, at);
  return header;
}

type RequestName = Pick<KafkajsRequest, "apiKey" | "apiVersion" | "apiName">;
type Decoder = Pick<KafkajsResponse, "decode">;

export interface Api {
  readonly apiKey: number;
  readonly name: string;
  readonly versionMax: number;
}

/** The requests we use of kafkajs, with the newest version it knows. */
export const apis = {
  listOffsets: { apiKey: 2, name: "ListOffsets", versionMax: 3 },
  metadata: { apiKey: 3, name: "Metadata", versionMax: 6 },
  findCoordinator: { apiKey: 10, name: "GroupCoordinator", versionMax: 2 },
  apiVersions: { apiKey: API_VERSIONS, name: "ApiVersions", versionMax: 2 },
  createTopics: { apiKey: 19, name: "CreateTopics", versionMax: 3 },
  addPartitionsToTxn: { apiKey: 24, name: "AddPartitionsToTxn", versionMax: 1 },
  endTxn: { apiKey: 26, name: "EndTxn", versionMax: 1 },
  describeConfigs: { apiKey: 32, name: "DescribeConfigs", versionMax: 2 },
} as const satisfies Record<string, Api>;

interface SocketRequest {
  readonly host: string;
  readonly port: number;
  readonly ssl: tls.ConnectionOptions | null;
  readonly onConnect: () => void;
}

export function definition(
  name: string,
  version: number,
): (args: Readonly<Record<string, unknown>>) => KafkajsExchange {
  const found = kafkajsProtocol.requests[name];
  if (found === undefined) throw new TypeError(`kafkajs does not know the request ${name}`);
  return found.protocol({ version });
}

/** kafkajs logs each attempt at ERROR; what an attempt means is for us to say. */
function kafkajsLogger(logger: Logger): Readonly<Record<string, unknown>> {
  return kafkajsLoggers.createLogger({
    level: kafkajsLoggers.LEVELS.WARN,
    logCreator:
      () =>
      ({ namespace, log }) => {
        const { message, ...details } = log;
        logger.debug({ kafkajs: namespace, ...details }, message);
      },
  });
}
