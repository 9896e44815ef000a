/** What a webhook sink is made from. */
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Operation, TableOperation } from "../core/rows.ts";
import type { Troubles } from "../core/troubles.ts";
import type { ResolveName } from "./webhook-connector.ts";

/** Contents of PEM files. Certificates are always checked. */
export interface EndpointTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface WebhookRoute {
  readonly id: string;
  /** Never to be printed: it may hold a password or a token. */
  readonly url: string;
  readonly events: readonly (Operation | TableOperation)[];
  /** `whsec_…`; a request is signed with each. */
  readonly secrets: readonly string[];
}

export interface ParkOptions {
  readonly dir: string;
  /** For each route. */
  readonly maxBytes: number;
}

export interface WebhookSinkOptions {
  readonly pipeline: string;
  readonly routes: readonly WebhookRoute[];
  /** Requests in flight, for each route. */
  readonly concurrency: number;
  readonly timeoutMs: number;
  /** Undefined: for ever. */
  readonly retries: number | undefined;
  readonly allowPrivate: boolean;
  readonly tls: EndpointTls;
  readonly park: ParkOptions | undefined;
  readonly backlogBytesMax: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly troubles?: Troubles | undefined;
  /** A number in [0, 1), for delays. */
  readonly random?: () => number;
  readonly resolve?: ResolveName | undefined;
}
