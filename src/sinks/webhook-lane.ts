/** The messages of one row on their way over one route, in order: one request at a time. */
import { Backoff } from "../core/backoff.ts";
import { Fifo } from "../core/fifo.ts";
import type { Message } from "./sink.ts";
import type { Job } from "./webhook-job.ts";

/**
 *   idle        nothing to send, or what there is is on its way to the disk
 *   ready       waits for its turn
 *   busy        its first message is in flight, or being refused
 *   waiting     its first message failed; the next attempt comes when the delay is over
 */
export type LaneState = "idle" | "ready" | "busy" | "waiting";

const FIRST_MS = 250;
const MAX_MS = 30_000;

export class Lane {
  readonly key: string;
  readonly jobs = new Fifo<Job>();
  readonly backoff: Backoff;
  state: LaneState = "idle";
  /** Of the first message. */
  attempts = 0;
  /** Messages being written to the disk. */
  parking = 0;
  /** The request in flight is that of a parked message. */
  sendsParked = false;
  /** Ends the delay; undefined unless waiting. */
  cancelDelay: (() => void) | undefined;
  /** The endpoint named the delay itself. */
  isAskedToWait = false;

  constructor(key: string, random: () => number) {
    this.key = key;
    this.backoff = new Backoff({ firstMs: FIRST_MS, maxMs: MAX_MS, random });
  }

  succeeded(): void {
    this.attempts = 0;
    this.backoff.reset();
  }
}

/** Rows of two tables may have the same key. */
export function laneKey({ table, partitionKey }: Message): string {
  return `${table}\0${partitionKey.toString("latin1")}`;
}
