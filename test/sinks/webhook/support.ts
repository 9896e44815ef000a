/** Sinks for tests, and messages of chosen rows. */
import { systemClock } from "../../../src/core/clock.ts";
import { silentLogger } from "../../../src/core/logger.ts";
import type { Message } from "../../../src/sinks/sink.ts";
import type { WebhookRoute, WebhookSinkOptions } from "../../../src/sinks/webhook-options.ts";
import { WebhookSink } from "../../../src/sinks/webhook-sink.ts";
import { makeMessage, RecordedEvents, resumeAt } from "../../contract/sink.ts";

export const never = new AbortController().signal;
export const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
export const OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

export function route(url: string, changes: Partial<WebhookRoute> = {}): WebhookRoute {
  return { id: "hook", url, events: ["insert", "update", "delete"], secrets: [], ...changes };
}

export function makeSink(
  routes: readonly WebhookRoute[],
  changes: Partial<WebhookSinkOptions> = {},
): WebhookSink {
  return new WebhookSink({
    pipeline: "shop",
    routes,
    concurrency: 32,
    timeoutMs: 5_000,
    retries: undefined,
    allowPrivate: true,
    tls: {},
    park: undefined,
    backlogBytesMax: 16 * 1024 * 1024,
    clock: systemClock,
    logger: silentLogger,
    ...changes,
  });
}

/** A message of this row; its value is `row:number`. */
export function change(row: string, number: number, changes: Partial<Message> = {}): Message {
  const message = makeMessage(number, "hook", row);
  return { ...message, value: Buffer.from(`${row}:${number}`), ...changes };
}

/** Sinks that are open, with what they report; `close` ends them all. */
export class OpenSinks {
  readonly #sinks: WebhookSink[] = [];

  async open(
    routes: readonly WebhookRoute[],
    changes: Partial<WebhookSinkOptions> = {},
  ): Promise<{ sink: WebhookSink; events: RecordedEvents }> {
    const sink = makeSink(routes, changes);
    this.#sinks.push(sink);
    const events = new RecordedEvents();
    await sink.open(resumeAt(undefined, "hook"), events, never);
    return { sink, events };
  }

  async close(): Promise<void> {
    await Promise.all(this.#sinks.splice(0).map(sink => sink.close()));
  }
}
