/**
 * The topics that messages go to: what a restart finds in them, and how a new one comes into use.
 */
import type { NextOffsets } from "../core/checkpoint.ts";
import { TidemarkError } from "../core/errors.ts";
import type { SinkResume } from "../sinks/sink.ts";
import type { Fence } from "./fence.ts";
import { Gate } from "./gate.ts";
import { PartitionReader, type ReaderOptions } from "./partition-reader.ts";
import type { CreateTopicOptions, Range, Topics } from "./topics.ts";

export interface TargetPartition {
  /** Where the next message of ours will stand at the earliest. */
  readonly nextOffset: number;
  /** What may hold messages of ours that the checkpoint does not know; undefined if that is empty. */
  readonly tail: Tail | undefined;
}

export interface Tail extends Range {
  /** Where rows of a snapshot may stand in front of it. */
  readonly snapshotStart: number;
}

export interface Target {
  readonly topic: string;
  readonly partitions: readonly TargetPartition[];
}

export interface TargetTopicsOptions extends Omit<ReaderOptions, "topic" | "partition"> {
  readonly topics: Topics;
  readonly fence: Fence;
  readonly pipeline: string;
  readonly create: CreateTopicOptions;
}

interface TopicCount {
  readonly topic: string;
  readonly count: number;
}

type Known = Readonly<Record<string, number>>;

/** How far back in a partition we look for messages of ours when there is no checkpoint. */
const LOOK_BACK_RECORDS = 1_000;
const TOPICS_AT_A_TIME = 8;

export class TargetTopics {
  readonly #options: TargetTopicsOptions;
  #snapshotTails: NextOffsets = {};
  #hasCheckpoint = false;

  constructor(options: TargetTopicsOptions) {
    this.#options = options;
  }

  /** Looks at all topics that are known by now. Those that do not exist are made when they are needed. */
  async open(
    resume: SinkResume,
    signal: AbortSignal,
  ): Promise<{ targets: ReadonlyMap<string, Target>; fresh: NextOffsets }> {
    const { nextOffsets, snapshotTails = {}, startsAnew = false } = resume;
    this.#snapshotTails = snapshotTails;
    this.#hasCheckpoint = nextOffsets !== undefined;
    const names = new Set([...resume.destinations, ...Object.keys(nextOffsets ?? {})]);
    const expected = new Set(resume.destinations);
    const gate = new Gate(TOPICS_AT_A_TIME);
    const counts = await Promise.all(
      [...names].map(topic =>
        gate.pass(async () => {
          const count = await this.#options.topics.partitions(topic, signal);
          if (count === undefined && expected.has(topic)) {
            refuseIfWritten(topic, nextOffsets?.[topic] ?? {});
          }
          return { topic, count };
        }),
      ),
    );
    const there = counts.flatMap(({ topic, count }) =>
      count === undefined ? [] : { topic, count },
    );
    const ends = await this.#fenced(there, signal);
    const found = await Promise.all(
      there.map(({ topic, count }) =>
        gate.pass(() => {
          const known = startsAnew ? {} : (nextOffsets?.[topic] ?? {});
          return this.#examine({ topic, count, known, ends: ends[topic] ?? {} }, signal);
        }),
      ),
    );
    const targets = new Map<string, Target>();
    const fresh: Record<string, Record<string, number>> = {};
    for (const target of found) {
      targets.set(target.topic, target);
      for (const [partition, { nextOffset }] of target.partitions.entries()) {
        const isKnown = nextOffsets?.[target.topic]?.[partition] !== undefined;
        if (isKnown && !startsAnew) continue;
        (fresh[target.topic] ??= {})[partition] = nextOffset;
      }
    }
    return { targets, fresh };
  }

  /** A topic met for the first time in this run: makes it if it is missing. */
  async prepare(topic: string, signal: AbortSignal): Promise<Target> {
    const { topics, create } = this.#options;
    const count = await topics.ensure(topic, create, signal);
    const ends = await this.#fenced([{ topic, count }], signal);
    return this.#examine({ topic, count, known: {}, ends: ends[topic] ?? {} }, signal);
  }

  /** Fences all partitions. Gives their ends: what others of this pipeline have written stands before. */
  #fenced(topics: readonly TopicCount[], signal: AbortSignal): Promise<NextOffsets> {
    const all = topics.flatMap(({ topic, count }) =>
      Array.from({ length: count }, (_, partition) => ({ topic, partition })),
    );
    return this.#options.fence.around(all, signal);
  }

  async #examine(
    { topic, count, known, ends }: TopicCount & { known: Known; ends: Known },
    signal: AbortSignal,
  ): Promise<Target> {
    const starts = await this.#options.topics.starts(topic, count, signal);
    const ranges = starts.map((start, i) => ({ start, end: ends[i] ?? start }));
    if (!this.#hasCheckpoint) await this.#refuseIfOurs(topic, ranges, signal);
    const partitions = ranges.map(({ start, end }, partition): TargetPartition => {
      const nextOffset = known[partition];
      if (nextOffset === undefined) return { nextOffset: end, tail: undefined };
      if (end < nextOffset)
        throw madeAnew(topic, `partition ${partition} ends at ${end}`, nextOffset);
      const from = Math.min(nextOffset, this.#snapshotTails[topic]?.[partition] ?? nextOffset);
      const tail = {
        start: Math.max(start, nextOffset),
        end,
        snapshotStart: Math.max(start, from),
      };
      return { nextOffset, tail: tail.snapshotStart < end ? tail : undefined };
    });
    return { topic, partitions };
  }

  /** Without a checkpoint, messages of ours would be sent a second time, or some never. */
  async #refuseIfOurs(topic: string, ranges: readonly Range[], signal: AbortSignal): Promise<void> {
    const { pipeline } = this.#options;
    for (const [partition, { start, end }] of ranges.entries()) {
      const from = Math.max(start, end - LOOK_BACK_RECORDS);
      const reader = new PartitionReader({ ...this.#options, topic, partition }, from);
      for await (const records of reader.until(end, signal)) {
        const ours = records.find(record => record.header("pipeline") === pipeline);
        if (ours === undefined) continue;
        throw new TidemarkError(
          "OUTPUT_UNKNOWN",
          `Topic ${topic}, partition ${partition}, holds messages of pipeline ${pipeline} (offset ` +
            `${ours.offset}), but the commit log has no checkpoint for it. Say where to go on with: ` +
            "tidemark position set.",
        );
      }
    }
  }
}

function refuseIfWritten(topic: string, known: Known): void {
  const last = Math.max(0, ...Object.values(known));
  if (last > 0) throw madeAnew(topic, "the topic does not exist", last);
}

function madeAnew(topic: string, found: string, nextOffset: number): TidemarkError {
  return new TidemarkError(
    "COMMIT_LOG_UNUSABLE",
    `The commit log says that topic ${topic} was written up to offset ${nextOffset}, but ${found}: it was ` +
      "removed or made anew. Say where to go on with: tidemark position set.",
  );
}
