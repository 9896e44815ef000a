/**
 * One endpoint and the messages on their way there.
 *
 *   write ─▶ lane of the row ─▶ fresh ─┐
 *              ▲      │                ├─▶ request ─▶ taken
 *              │      ╰─▶ again ───────┘      │
 *              ╰── after a delay ◀── failed ──╯
 *
 * 1. A lane has one request in flight, and its first message stays first until it is taken or refused.
 * 2. A lane that waits holds no place among the requests in flight, and lanes that failed hold at most
 *    half of them: the others go on.
 * 3. When the endpoint cannot be connected to, or asks to be left alone (down), one request at a time
 *    tries it. One that is taken ends that, and the delays of all lanes.
 * 4. With a park, what fails is written to disk, in order, and counts as taken. As long as a lane has
 *    messages there, its next ones go there too; those of all lanes while nothing is taken at all.
 */
import { Backoff } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import { TidemarkError, toTidemarkError } from "../core/errors.ts";
import { Fifo } from "../core/fifo.ts";
import type { Logger } from "../core/logger.ts";
import type { Troubles } from "../core/troubles.ts";
import type { Message } from "./sink.ts";
import type { Endpoint, Outcome } from "./webhook-endpoint.ts";
import type { Job, Refusal } from "./webhook-job.ts";
import { Lane, laneKey } from "./webhook-lane.ts";
import type { Park } from "./webhook-park.ts";

export interface RouteEvents {
  /** For a message that was parked, and so delivered before. Resolves when it is safe elsewhere. */
  refused(message: Message, refusal: Refusal): Promise<void>;
  failed(error: TidemarkError): void;
}

export interface RouteOptions {
  readonly id: string;
  readonly endpoint: Pick<Endpoint, "origin" | "post">;
  readonly park: Park | undefined;
  readonly concurrency: number;
  /** Undefined: for ever. */
  readonly retries: number | undefined;
  readonly events: RouteEvents;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly troubles: Troubles | undefined;
  readonly random: () => number;
}

type Failure = Extract<Outcome, { kind: "failed" }>;

const PROBE_FIRST_MS = 200;
const PROBE_MAX_MS = 5_000;
/** A lane that failed so often in a row goes to disk, if there is a park. */
const PARK_AFTER = 2;
const GONE = 410;
const TOO_MANY_REQUESTS = 429;

export class Route {
  readonly id: string;
  readonly #options: RouteOptions;
  readonly #lanes = new Map<string, Lane>();
  readonly #fresh = new Fifo<Lane>();
  readonly #again = new Fifo<Lane>();
  /** Lanes whose first message failed and is repeated. */
  readonly #failing = new Set<Lane>();
  #inFlight = 0;
  #retrying = 0;
  /** Requests of any lane that failed since one was taken. */
  #failuresInRow = 0;
  /** While the endpoint is down. */
  #down: { readonly backoff: Backoff; isDue: boolean; cancel: () => void } | undefined;
  #isClosed = false;

  constructor(options: RouteOptions) {
    this.id = options.id;
    this.#options = options;
  }

  /** Begins with what was parked by an earlier run. */
  start(): void {
    for (const key of this.#options.park?.lanes() ?? []) this.#ready(this.#lane(key));
    this.#pump();
  }

  write(job: Job): void {
    const lane = this.#lane(laneKey(job.message));
    lane.jobs.push(job);
    if (this.#mustPark(lane)) this.#parkJobs(lane);
    else if (lane.state === "idle") this.#ready(lane);
    else if (lane.attempts > 0) job.message.detach?.(); // It may wait long.
  }

  /** Sends what may be sent; called after `write`. */
  flush(): void {
    this.#pump();
  }

  close(): void {
    this.#isClosed = true;
    this.#down?.cancel();
    for (const lane of this.#lanes.values()) lane.cancelDelay?.();
    this.#options.troubles?.over(this);
  }

  #lane(key: string): Lane {
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = new Lane(key, this.#options.random);
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  /** A message in flight is not parked, and nothing is parked that would then overtake it. */
  #mustPark(lane: Lane): boolean {
    const { park } = this.#options;
    if (park === undefined || (lane.state === "busy" && !lane.sendsParked)) return false;
    return this.#isFailing || lane.parking > 0 || park.holds(lane.key);
  }

  /** It looks as if the endpoint would take nothing, whatever the row. */
  get #isFailing(): boolean {
    return this.#down !== undefined || this.#failuresInRow >= this.#options.concurrency;
  }

  #parkJobs(lane: Lane): void {
    const jobs = lane.jobs.takeAll();
    const { park } = this.#options;
    if (jobs.length === 0 || park === undefined) return;
    lane.parking += jobs.length;
    const messages = jobs.map(({ message }) => message);
    park.append(lane.key, messages).then(
      () => {
        if (this.#isClosed) return;
        lane.parking -= jobs.length;
        for (const job of jobs) job.taken();
        if (lane.state === "idle") this.#ready(lane);
        this.#pump();
      },
      (error: unknown) => this.#fail(error),
    );
  }

  /** The lane's turn comes, unless it has nothing to send. */
  #ready(lane: Lane): void {
    lane.cancelDelay?.();
    lane.cancelDelay = undefined;
    const isEmpty = lane.jobs.length === 0 && !this.#hasParked(lane);
    lane.state = isEmpty ? "idle" : "ready";
    if (!isEmpty) (lane.attempts > 0 ? this.#again : this.#fresh).push(lane);
    else if (lane.parking === 0) this.#lanes.delete(lane.key);
  }

  #hasParked(lane: Lane): boolean {
    const { park } = this.#options;
    return park !== undefined && park.count(lane.key) > 0;
  }

  #pump(): void {
    if (this.#isClosed) return;
    for (let lane = this.#next(); lane !== undefined; lane = this.#next()) {
      this.#send(lane).catch((error: unknown) => this.#fail(error));
    }
  }

  #next(): Lane | undefined {
    if (this.#down !== undefined) {
      if (!this.#down.isDue || this.#inFlight > 0) return undefined;
      return this.#first(this.#fresh) ?? this.#first(this.#again);
    }
    const { concurrency } = this.#options;
    if (this.#inFlight >= concurrency) return undefined;
    const mayRetry = this.#retrying < Math.ceil(concurrency / 2);
    return (mayRetry ? this.#first(this.#again) : undefined) ?? this.#first(this.#fresh);
  }

  /** A lane whose messages are being written to disk has lost its turn; it comes again. */
  #first(lanes: Fifo<Lane>): Lane | undefined {
    for (let lane = lanes.shift(); lane !== undefined; lane = lanes.shift()) {
      if (lane.jobs.length > 0 || this.#hasParked(lane)) return lane;
      lane.state = "idle";
    }
    return undefined;
  }

  async #send(lane: Lane): Promise<void> {
    const { endpoint, park } = this.#options;
    const isRetry = lane.attempts > 0;
    lane.state = "busy";
    lane.sendsParked = this.#hasParked(lane);
    this.#inFlight += 1;
    if (isRetry) this.#retrying += 1;
    let message = lane.jobs.first?.message;
    if (lane.sendsParked) message = await park?.first(lane.key);
    if (message === undefined) return;
    const outcome = await endpoint.post(message.id, message.value ?? Buffer.alloc(0));
    if (this.#isClosed) return;
    this.#inFlight -= 1;
    if (isRetry) this.#retrying -= 1;
    if (outcome.kind === "taken") this.#taken(lane);
    else await this.#failed(lane, message, outcome);
    this.#pump();
  }

  #taken(lane: Lane): void {
    lane.succeeded();
    if (this.#isFailing) this.#up();
    this.#failuresInRow = 0;
    const job = this.#shift(lane);
    job?.taken();
    this.#recovered(lane);
    this.#continue(lane);
  }

  /** Takes the first message away; the job of one that is not on disk. */
  #shift(lane: Lane): Job | undefined {
    if (!lane.sendsParked) return lane.jobs.shift();
    this.#options.park?.shift(lane.key);
    return undefined;
  }

  #continue(lane: Lane): void {
    lane.state = "idle";
    if (this.#mustPark(lane)) this.#parkJobs(lane);
    this.#ready(lane);
  }

  async #failed(lane: Lane, message: Message, failure: Failure): Promise<void> {
    const { retries } = this.#options;
    lane.attempts += 1;
    this.#failuresInRow += 1;
    const isFinal = failure.status === GONE || (retries !== undefined && lane.attempts > retries);
    if (this.#isDown(failure)) this.#goDown(failure);
    if (this.#failuresInRow === this.#options.concurrency) this.#parkAll();
    if (isFinal) {
      await this.#refuse(lane, message, failure);
      return;
    }
    this.#report(lane, failure);
    const delayMs = Math.max(lane.backoff.delayMs(), failure.retryAfterMs ?? 0);
    lane.isAskedToWait = failure.retryAfterMs !== undefined;
    lane.state = "waiting";
    const isParked = lane.attempts >= PARK_AFTER || this.#mustPark(lane);
    if (this.#options.park !== undefined && isParked) this.#parkJobs(lane);
    else if (lane.attempts === 1) for (const job of lane.jobs.items()) job.message.detach?.();
    // While the endpoint is down, the lane is tried when its turn comes.
    if (this.#down !== undefined) this.#ready(lane);
    else lane.cancelDelay = this.#options.clock.after(delayMs, () => this.#wake(lane));
  }

  #wake(lane: Lane): void {
    this.#ready(lane);
    this.#pump();
  }

  async #refuse(lane: Lane, message: Message, { reason }: Failure): Promise<void> {
    const { events } = this.#options;
    const { attempts } = lane;
    const error = new TidemarkError(
      "MESSAGE_REFUSED",
      `${this.#name} ${reason}, and message ${message.id} is given up after ${times(attempts)}. ` +
        "Mend the endpoint, or change or remove the route.",
    );
    const job = lane.jobs.first;
    if (lane.sendsParked) await events.refused(message, { error, attempts });
    else await job?.refused({ error, attempts });
    if (this.#isClosed) return;
    lane.succeeded();
    this.#shift(lane);
    this.#recovered(lane);
    this.#continue(lane);
  }

  get #name(): string {
    return `Route ${this.id} (${this.#options.endpoint.origin})`;
  }

  /** This is about the endpoint. What it answers, or that it does not, may be about one row. */
  #isDown({ status, connected }: Failure): boolean {
    if (status === TOO_MANY_REQUESTS) return true;
    // Who wants messages to be given up wants their attempts to be made.
    return !connected && (this.#options.retries === undefined || this.#options.park !== undefined);
  }

  #goDown({ status, retryAfterMs }: Failure): void {
    const { clock, random } = this.#options;
    this.#down?.cancel();
    const backoff =
      this.#down?.backoff ?? new Backoff({ firstMs: PROBE_FIRST_MS, maxMs: PROBE_MAX_MS, random });
    const askedMs = status === TOO_MANY_REQUESTS ? (retryAfterMs ?? 0) : 0;
    const cancel = clock.after(Math.max(backoff.delayMs(), askedMs), () => {
      down.isDue = true;
      this.#pump();
    });
    const down = { backoff, isDue: false, cancel };
    const isNew = this.#down === undefined;
    this.#down = down;
    if (isNew) this.#parkAll();
  }

  #parkAll(): void {
    for (const lane of this.#lanes.values()) if (this.#mustPark(lane)) this.#parkJobs(lane);
  }

  /** It works again: nobody waits any longer who was not asked to. */
  #up(): void {
    this.#down?.cancel();
    this.#down = undefined;
    for (const lane of this.#again.takeAll()) this.#fresh.push(lane);
    for (const lane of this.#lanes.values()) {
      if (lane.state !== "waiting" || lane.isAskedToWait) continue;
      lane.cancelDelay?.();
      lane.cancelDelay = undefined;
      lane.state = "ready";
      this.#fresh.push(lane);
    }
  }

  /** Says once that something fails, however many rows it are. One failure is nothing unusual. */
  #report(lane: Lane, { reason }: Failure): void {
    const { logger, troubles, park } = this.#options;
    const message = `${this.#name} ${reason}.`;
    if (park === undefined) {
      troubles?.failed(this, { message, unreachable: false, place: undefined });
    }
    if (lane.attempts < 2 || this.#failing.has(lane)) return;
    this.#failing.add(lane);
    if (this.#failing.size > 1) return;
    const then = park === undefined ? "" : " Its messages are parked until it is mended.";
    logger.warn({ route: this.id }, `${message}${then} Trying again …`);
  }

  #recovered(lane: Lane): void {
    const { logger, troubles } = this.#options;
    if (this.#failing.delete(lane) && this.#failing.size === 0) {
      logger.info({ route: this.id }, `${this.#name} takes everything again`);
    }
    if (this.#failing.size === 0) troubles?.over(this);
  }

  #fail(error: unknown): void {
    if (this.#isClosed) return;
    this.close();
    this.#options.events.failed(toTidemarkError(error));
  }
}

function times(attempts: number): string {
  return attempts === 1 ? "1 attempt" : `${attempts} attempts`;
}
