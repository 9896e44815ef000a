/**
 * Keeps older instances of a pipeline out of its partitions.
 *
 *   begin ─▶ a new epoch of our transactional id: whoever had the one before is replaced
 *   around ─▶ an empty transaction over partitions, aborted: its marks carry the new epoch into them
 *
 * A partition that holds a mark of ours refuses every batch of an older epoch, also from an instance that
 * stood still and returns, and also if that one never wrote there. What it did write stands before the
 * mark. The coordinator answers before the marks are written, so each is read for: `around` gives their
 * offsets, and what is read up to there is whole.
 *
 * Broker and partitions forget ids and epochs that nobody uses; `keepUp` repeats the transactions before.
 */
import { sleep, type Clock } from "../core/clock.ts";
import type { NextOffsets } from "../core/checkpoint.ts";
import { TidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { retrying, unlessAborted } from "../core/retry.ts";
import { Wake } from "../core/signal.ts";
import type { Troubles } from "../core/troubles.ts";
import { KafkaClient, type KafkaClientOptions } from "./client.ts";
import { Coordinator, type ProducerIdentity } from "./coordinator.ts";
import { Gate } from "./gate.ts";
import {
  KafkaResponseError,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
  isUnreachable,
  toKafkaError,
} from "./kafka-errors.ts";
import { listOffsets } from "./list-offsets.ts";
import { PartitionReader } from "./partition-reader.ts";
import type { SendTarget } from "./producer.ts";
import { Topics } from "./topics.ts";

/** What a fence leaves to the next one of the same process, by transactional id. */
export type Identities = Map<string, Taken>;

interface Taken {
  readonly identity: ProducerIdentity;
  /** A transaction may be under way: it has to be ended before the epoch can be raised. */
  isOpen: boolean;
}

export interface FenceOptions {
  readonly client: KafkaClientOptions;
  readonly transactionalId: string;
  /** Outlives the fence: an instance that begins again must not replace one that has replaced it. */
  readonly identities: Identities;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly troubles?: Troubles | undefined;
}

/** @param pipeline the name that is written as: dead letters and redelivery have one of their own. */
export function transactionalIdOf(pipeline: string): string {
  return `tidemark-${pipeline}`;
}

/** The coordinator keeps the partitions of a transaction in one record, of at most 1 MB. */
const PARTITIONS_AT_A_TIME = 1_000;
const READS_AT_A_TIME = 8;
/** A mark that has not come by then is asked for again. */
const MARK_WAIT_MS = 30_000;
const KEEP_UP_MS = 6 * 60 * 60_000;
const KEEP_UP_MIN_MS = 10_000;
const EXPIRATIONS = ["transactional.id.expiration.ms", "producer.id.expiration.ms"];
/** INVALID_TXN_STATE: it never came to be, or another has ended it. INVALID_PRODUCER_ID_MAPPING: forgotten. */
const NO_TRANSACTION = [48, 49];

interface Waiting {
  readonly target: SendTarget;
  readonly resolve: (offset: number) => void;
  readonly reject: (error: unknown) => void;
}

export class Fence {
  readonly #options: FenceOptions;
  readonly #client: KafkaClient;
  readonly #topics: Topics;
  readonly #coordinator: Coordinator;
  readonly #stop = new AbortController();
  readonly #around = new Map<string, SendTarget>();
  readonly #stands = new Wake();
  #identity: Promise<ProducerIdentity> | undefined;
  #waiting: Waiting[] = [];
  #isRunning = false;
  #keepUpMs = KEEP_UP_MS;
  /** One transaction at a time. */
  readonly #turns = new Gate(1);

  constructor(options: FenceOptions) {
    const { clock, logger, troubles, transactionalId } = options;
    this.#options = options;
    this.#client = new KafkaClient({ ...options.client, logger });
    this.#topics = new Topics({ client: this.#client, clock, logger, troubles });
    this.#coordinator = new Coordinator(this.#client, transactionalId, clock);
  }

  /** The producer id and epoch of this run: a new epoch, taken when it is first asked for. */
  identity(signal: AbortSignal): Promise<ProducerIdentity> {
    return unlessAborted(() => (this.#identity ??= this.#begin()), signal);
  }

  /** For how long the sequence numbers of a batch are safe with the brokers, if not used meanwhile. */
  get rememberedMs(): number {
    return 2 * this.#keepUpMs;
  }

  /**
   * Fences the partitions, which exist. What waits at the same time shares a transaction.
   *
   * @returns the offset of our mark in each: where that ends which others have written.
   * @throws TidemarkError TAKEN_OVER if another instance has the epoch after ours.
   */
  async around(targets: readonly SendTarget[], signal: AbortSignal): Promise<NextOffsets> {
    const offsets: Record<string, Record<string, number>> = {};
    const pass = async (target: SendTarget): Promise<void> => {
      (offsets[target.topic] ??= {})[target.partition] = await this.#passed(target);
    };
    await unlessAborted(() => Promise.all(targets.map(pass)), signal);
    return offsets;
  }

  #passed(target: SendTarget): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ target, resolve, reject });
      if (!this.#isRunning) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    await Promise.resolve(); // So that what is asked for together goes together.
    while (this.#waiting.length > 0) {
      const taken = this.#waiting.splice(0, PARTITIONS_AT_A_TIME);
      try {
        const targets = taken.map(({ target }) => target);
        const offsets = await this.#fenced(targets);
        for (const [i, { target, resolve }] of taken.entries()) {
          this.#around.set(nameOf(target), target);
          resolve(offsets[i] as number);
        }
        this.#stands.notify();
      } catch (error) {
        for (const { reject } of [...taken, ...this.#waiting.splice(0)]) reject(error);
      }
    }
    this.#isRunning = false;
  }

  #fenced(targets: readonly SendTarget[]): Promise<readonly number[]> {
    const doing = `Fencing ${targets.length === 1 ? nameOf(targets[0] as SendTarget) : `${targets.length} partitions`}`;
    return this.#retrying(doing, async () => {
      if (__MUTANT__ === "no-fence") return this.#ends(targets);
      const identity = await this.identity(this.#stop.signal);
      // Whatever an older instance appends from here on stands before the mark, or is refused.
      const ends = await this.#transact(identity, targets, () => this.#ends(targets));
      const gate = new Gate(READS_AT_A_TIME);
      return Promise.all(
        targets.map((target, i) =>
          gate.pass(() => this.#mark(target, { from: ends[i] as number, identity })),
        ),
      );
    });
  }

  /** An empty transaction, aborted. `within` is done while it is open. */
  #transact<T>(
    identity: ProducerIdentity,
    targets: readonly SendTarget[],
    within: () => Promise<T>,
  ): Promise<T> {
    const { signal } = this.#stop;
    return this.#turns.pass(async () => {
      const taken = this.#options.identities.get(this.#options.transactionalId);
      if (taken !== undefined) taken.isOpen = true;
      await this.#coordinator.begin(identity, targets, signal);
      const result = await within();
      await this.#coordinator.abort(identity, signal);
      if (taken !== undefined) taken.isOpen = false;
      return result;
    });
  }

  async #ends(targets: readonly SendTarget[]): Promise<readonly number[]> {
    const topics = new Map<string, number[]>();
    for (const { topic, partition } of targets) {
      topics.set(topic, [...(topics.get(topic) ?? []), partition]);
    }
    const ends = new Map<string, number>();
    for (const [topic, partitions] of topics) {
      const offsets = await listOffsets(this.#client, topic, { partitions, at: "end" });
      for (const [i, partition] of partitions.entries()) {
        ends.set(nameOf({ topic, partition }), offsets[i] as number);
      }
    }
    return targets.map(target => ends.get(nameOf(target)) as number);
  }

  #mark(
    { topic, partition }: SendTarget,
    { from, identity }: { from: number; identity: ProducerIdentity },
  ): Promise<number> {
    const { clock, logger, troubles } = this.#options;
    const place = { client: this.#client, clock, logger, troubles, topic, partition };
    const reader = new PartitionReader(place, from);
    return reader.passMark(identity, { withinMs: MARK_WAIT_MS, signal: this.#stop.signal });
  }

  async #begin(): Promise<ProducerIdentity> {
    const { identities, transactionalId, logger } = this.#options;
    const identity = await this.#retrying("Asking Kafka for a producer id", async () => {
      const { signal } = this.#stop;
      const present = identities.get(transactionalId);
      if (present?.isOpen === true) {
        await this.#coordinator.abort(present.identity, signal).catch((error: unknown) => {
          if (!NO_TRANSACTION.some(code => hasCode(error, code))) throw error;
        });
        present.isOpen = false;
      }
      const given = await this.#coordinator.initialise(present?.identity, signal);
      const { producerId, producerEpoch } = given;
      return { producerId, producerEpoch };
    });
    identities.set(transactionalId, { identity, isOpen: false });
    const { producerId, producerEpoch: epoch } = identity;
    logger.info({ producer_id: String(producerId), epoch }, "keeps older instances out of Kafka");
    return identity;
  }

  /** Keeps what was fenced from being forgotten, until the signal aborts. Rejects with TAKEN_OVER. */
  async keepUp(signal: AbortSignal): Promise<void> {
    const either = AbortSignal.any([signal, this.#stop.signal]);
    for (;;) {
      await this.#stands.until(() => this.#around.size > 0, either);
      this.#keepUpMs = keepUpMsOf(await this.#expirations(either));
      await sleep(this.#options.clock, this.#keepUpMs, either);
      await this.renew(either);
    }
  }

  /** Uses id and epoch again, in every partition that is fenced. Rejects with TAKEN_OVER. */
  async renew(signal: AbortSignal): Promise<void> {
    if (__MUTANT__ === "no-fence") return;
    const identity = await this.identity(signal);
    const targets = [...this.#around.values()];
    for (let from = 0; from < targets.length; from += PARTITIONS_AT_A_TIME) {
      const some = targets.slice(from, from + PARTITIONS_AT_A_TIME);
      await this.#retrying("Keeping the fence up", async () => {
        const there = await this.#existing(some); // A topic may be gone, and that is no fault here.
        if (there.length > 0) await this.#transact(identity, there, () => Promise.resolve());
      });
    }
  }

  async #existing(targets: readonly SendTarget[]): Promise<readonly SendTarget[]> {
    const topics = [...new Set(targets.map(({ topic }) => topic))];
    const found = await this.#client.metadata(topics);
    return targets.filter(
      ({ topic, partition }) => partition < (found.get(topic)?.leaders.length ?? 0),
    );
  }

  /** After which time ids and epochs are forgotten, where the broker tells it. */
  async #expirations(signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    try {
      return await this.#topics.brokerConfig(EXPIRATIONS, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof TidemarkError && error.code === "ACCESS_DENIED") return new Map();
      throw error;
    }
  }

  #retrying<T>(doing: string, attempt: () => Promise<T>): Promise<T> {
    const { clock, logger, troubles, transactionalId } = this.#options;
    const { signal } = this.#stop;
    const classify = (thrown: unknown): TidemarkError =>
      hasCode(thrown, TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
        ? denied(transactionalId, thrown)
        : toKafkaError(thrown, doing);
    const options = { clock, logger, signal, doing, classify, troubles, isUnreachable };
    const onFailure = (): void => {
      for (const { topic } of this.#around.values()) this.#client.forget(topic);
    };
    return retrying(attempt, { ...options, onFailure });
  }

  /** Ends what is under way. */
  close(): void {
    this.#stop.abort(new TidemarkError("SINK_UNAVAILABLE", "The fence is closed."));
    this.#client.close();
  }
}

/** How long to wait before ids and epochs are used again: a third of the time that brokers keep them. */
export function keepUpMsOf(settings: ReadonlyMap<string, string>): number {
  const thirds = EXPIRATIONS.map(name => Number(settings.get(name)) / 3).filter(ms => ms > 0);
  return Math.max(KEEP_UP_MIN_MS, Math.min(KEEP_UP_MS, ...thirds));
}

function hasCode(thrown: unknown, code: number): boolean {
  return thrown instanceof KafkaResponseError && thrown.code === code;
}

function denied(transactionalId: string, cause: unknown): TidemarkError {
  return new TidemarkError(
    "ACCESS_DENIED",
    `Our user may not use the transactional id ${transactionalId}, which keeps other instances of the ` +
      "pipeline out. Allow it the operations Describe and Write on that id; `tidemark check` shows the command.",
    { cause },
  );
}

function nameOf({ topic, partition }: SendTarget): string {
  return `${topic}/${partition}`;
}
