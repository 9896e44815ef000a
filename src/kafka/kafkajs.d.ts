/**
 * The parts of kafkajs 2.2.4 below its public interface that Tidemark stands on. kafkajs has not
 * changed since 2023 and is pinned; test/kafka/kafkajs-shape.test.ts fails if one of these changes.
 */
interface KafkajsLog {
  readonly namespace: string;
  readonly level: number;
  readonly log: { readonly message: string; readonly [name: string]: unknown };
}

interface KafkajsRequest {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly apiName: string;
  readonly expectResponse?: () => boolean;
  /** The result is copied into the request: `buf` is only looked at, `buffer` holds the bytes. */
  readonly encode: () => Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>;
}

/** A request that waits for its answer. */
interface KafkajsEntry {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly apiName: string;
  readonly correlationId: number;
  readonly resolve: (answer: { readonly payload: Buffer }) => void;
  readonly reject: (error: unknown) => void;
}

interface KafkajsResponse {
  readonly decode: (payload: Buffer) => Promise<unknown>;
  readonly parse: (decoded: unknown) => Promise<unknown>;
}

interface KafkajsExchange {
  readonly request: KafkajsRequest;
  readonly response: KafkajsResponse;
  readonly logResponseError?: boolean;
}

interface KafkajsDefinition {
  readonly versions: readonly string[];
  readonly protocol: (options: {
    version: number;
  }) => (args: Readonly<Record<string, unknown>>) => KafkajsExchange;
}

declare module "kafkajs/src/network/connection.js" {
  import type RequestQueue from "kafkajs/src/network/requestQueue/index.js";
  export default class Connection {
    readonly clientId: string;
    readonly requestQueue: RequestQueue;
    constructor(options: Readonly<Record<string, unknown>>);
    connect(): Promise<boolean>;
    isConnected(): boolean;
    setVersions(versions: Readonly<Record<number, unknown>>): void;
    setSupportAuthenticationProtocol(supported: boolean): void;
    /** Does nothing while the login holds. */
    authenticate(): Promise<void>;
    nextCorrelationId(): number;
    send(exchange: KafkajsExchange): Promise<unknown>;
  }
}

declare module "kafkajs/src/network/requestQueue/index.js" {
  export default class RequestQueue {
    readonly pending: readonly unknown[];
    readonly throttledUntil: number;
    throttleCheckTimeoutId: NodeJS.Timeout | null;
    scheduleCheckPendingRequests(): void;
    checkPendingRequests(): void;
    maybeThrottle(forMs: number): void;
    push(request: {
      readonly entry: KafkajsEntry;
      readonly expectResponse: boolean;
      /** Null for that of the connection. */
      readonly requestTimeout: number | null;
      readonly sendRequest: () => void;
    }): void;
  }
}

declare module "kafkajs/src/protocol/requests/index.js" {
  const value: { readonly requests: Readonly<Record<string, KafkajsDefinition>> };
  export default value;
}

declare module "kafkajs/src/loggers/index.js" {
  const value: {
    readonly LEVELS: Readonly<Record<"WARN", number>>;
    createLogger(options: {
      level: number;
      logCreator: () => (entry: KafkajsLog) => void;
    }): Readonly<Record<string, unknown>>;
  };
  export default value;
}

declare module "kafkajs/src/producer/partitioners/default/murmur2.js" {
  export default function murmur2(key: Buffer): number;
}
