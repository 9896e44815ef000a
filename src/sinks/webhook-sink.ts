/**
 * Webhooks as a destination: a message becomes a request to every route that wants it.
 *
 *   write ─▶ which routes? ─┬─▶ route ─▶ lane of the row ─▶ request
 *                           └─▶ route ─▶ …
 *
 * A message is delivered when all of its routes have taken it, and at once if no route wants it, or if it
 * is a tombstone, which has no body to send. At-least-once by nature: an endpoint cannot be asked what
 * has arrived, so what came after the last checkpoint is sent again, with the same `webhook-id`.
 */
import type { NextOffsets } from "../core/checkpoint.ts";
import { assert, type TidemarkError } from "../core/errors.ts";
import { operationsOf } from "../core/rows.ts";
import { Wake } from "../core/signal.ts";
import type { Message, Sink, SinkEvents, SinkResume } from "./sink.ts";
import { Endpoint } from "./webhook-endpoint.ts";
import { Job, type JobEvents } from "./webhook-job.ts";
import type { WebhookSinkOptions } from "./webhook-options.ts";
import { checkNoStray, Park, parkPath } from "./webhook-park.ts";
import { Route } from "./webhook-route.ts";

/** Ids of routes stand in a destination, with this between them. */
export const ROUTE_SEPARATOR = ",";

/** What a message takes beside its bytes: itself, a job, and its place in a lane of its own. */
const MESSAGE_OVERHEAD = 600;

export class WebhookSink implements Sink {
  readonly name = "webhook";
  readonly #options: WebhookSinkOptions;
  readonly #endpoints: Endpoint[] = [];
  readonly #parks: Park[] = [];
  readonly #routes = new Map<string, Route>();
  /** By destination and operation. */
  readonly #routesOf = new Map<string, readonly Route[]>();
  readonly #room = new Wake();
  #events: SinkEvents | undefined;
  #backlogBytes = 0;
  #isClosed = false;

  constructor(options: WebhookSinkOptions) {
    this.#options = options;
  }

  /** Asks no endpoint: one that is down must not hold up the others. */
  async open(_resume: SinkResume, events: SinkEvents, signal: AbortSignal): Promise<NextOffsets> {
    signal.throwIfAborted();
    this.#events = events;
    const { routes, park, pipeline } = this.#options;
    if (park !== undefined) {
      await checkNoStray(
        park.dir,
        pipeline,
        routes.map(({ id }) => id),
      );
    }
    for (const route of routes) {
      const endpoint = new Endpoint({ ...this.#options, ...route });
      this.#endpoints.push(endpoint);
      await endpoint.open();
      const park = await this.#openPark(route.id, signal);
      this.#routes.set(route.id, this.#makeRoute(route.id, endpoint, park));
    }
    signal.throwIfAborted();
    for (const route of this.#routes.values()) route.start();
    return {};
  }

  write(messages: readonly Message[]): void {
    assert(this.#events !== undefined, "the webhook sink is not open");
    if (this.#isClosed) return;
    for (const message of messages) {
      const routes = message.value === null ? [] : this.#wantedBy(message);
      if (routes.length === 0) {
        this.#events.delivered(message);
        continue;
      }
      this.#backlogBytes += cost(message);
      const job = new Job(message, routes.length, this.#jobEvents);
      for (const route of routes) route.write(job);
    }
    for (const route of this.#routes.values()) route.flush();
  }

  room(signal: AbortSignal): Promise<void> {
    const { backlogBytesMax } = this.#options;
    return this.#room.until(() => this.#isClosed || this.#backlogBytes < backlogBytesMax, signal);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#room.notify();
    for (const route of this.#routes.values()) route.close();
    await Promise.all([...this.#endpoints, ...this.#parks].map(part => part.close()));
  }

  async #openPark(route: string, signal: AbortSignal): Promise<Park | undefined> {
    const { park: settings, pipeline, clock, logger, troubles } = this.#options;
    if (settings === undefined) return undefined;
    const path = parkPath(settings.dir, pipeline, route);
    const park = new Park({ path, maxBytes: settings.maxBytes, clock, logger, troubles });
    this.#parks.push(park);
    await park.open(error => this.#fail(error), signal);
    return park;
  }

  #makeRoute(id: string, endpoint: Endpoint, park: Park | undefined): Route {
    const { concurrency, retries, clock, logger, troubles, random = Math.random } = this.#options;
    return new Route({
      ...{ id, endpoint, concurrency, retries, clock, logger, troubles, random },
      park,
      events: {
        refused: async (message, { error, attempts }) =>
          this.#events?.refused(message, error, attempts),
        failed: error => this.#fail(error),
      },
    });
  }

  #wantedBy({ destination, operation }: Message): readonly Route[] {
    const key = `${operation} ${destination}`;
    let routes = this.#routesOf.get(key);
    if (routes === undefined) {
      const ids = new Set(destination.split(ROUTE_SEPARATOR));
      const wanting = this.#options.routes.filter(
        ({ id, events }) =>
          ids.has(id) && (operation === "schema" || operationsOf(events).has(operation)),
      );
      routes = wanting.map(({ id }) => this.#routes.get(id) as Route);
      this.#routesOf.set(key, routes);
    }
    return routes;
  }

  readonly #jobEvents: JobEvents = {
    delivered: message => {
      if (this.#isClosed) return;
      this.#events?.delivered(message);
      this.#release(message);
    },
    refused: async (message, { error, attempts }) => {
      await this.#events?.refused(message, error, attempts);
      this.#release(message);
    },
  };

  #release(message: Message): void {
    this.#backlogBytes -= cost(message);
    this.#room.notify();
  }

  #fail(error: TidemarkError): void {
    if (this.#isClosed) return;
    void this.close();
    this.#events?.failed(error);
  }
}

function cost(message: Message): number {
  return message.bytes + MESSAGE_OVERHEAD;
}
