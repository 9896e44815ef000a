/**
 * The checkpoint in the making: released marks and places are added to it in order, and it is written
 * out only when the commit log is ready for the next record.
 */
import type { Checkpoint, NextOffsets, SourcePosition } from "../core/checkpoint.ts";
import type { Clock } from "../core/clock.ts";
import type { Mark } from "../core/entry.ts";
import { assert } from "../core/errors.ts";
import { GtidSet } from "../core/gtid-set.ts";
import type { SnapshotState } from "../core/snapshot-state.ts";
import type { ReleasedPosition } from "../core/vitals.ts";
import type { Place } from "../sinks/sink.ts";
import { SnapshotProgress } from "./snapshot-progress.ts";

export interface ProgressOptions {
  readonly pipeline: string;
  readonly reader: string;
  readonly delivery: Checkpoint["delivery"];
  readonly output: string;
  readonly clock: Clock;
}

/** Where a run begins. */
export interface Beginning {
  /** One above the last in the commit log. */
  readonly generation: number;
  readonly position: SourcePosition;
  readonly nextOffsets: NextOffsets;
  readonly snapshot?: SnapshotState | null;
}

export class Progress {
  readonly #options: ProgressOptions;
  readonly snapshot = new SnapshotProgress();
  readonly #nextOffsets = new Map<string, Map<string, number>>();
  #gtidSet = GtidSet.parse("");
  #position: SourcePosition | undefined;
  #generation = 0;
  #eventTimeS = 0;
  #sequence = 0;

  constructor(options: ProgressOptions) {
    this.#options = options;
  }

  get generation(): number {
    return this.#generation;
  }

  begin({ generation, position, nextOffsets, snapshot = null }: Beginning): void {
    this.#generation = generation;
    this.#position = position;
    this.#gtidSet = GtidSet.parse(position.gtidSet);
    this.addOffsets(nextOffsets);
    this.snapshot.begin(snapshot);
  }

  /** Adds what releasing one entry means. Must be called in the order of the queue. */
  release(mark: Mark, places: readonly Place[]): void {
    for (const gtid of mark.gtids) this.#gtidSet.add(gtid);
    this.#position = {
      serverUuid: mark.serverUuid,
      boundary: mark.boundary,
      gtidSet: "",
      transaction: mark.transaction,
      anonymous: this.#position?.anonymous === true || mark.anonymous,
      prepared: mark.prepared ?? [],
      definitions: mark.definitions ?? {},
    };
    if (mark.snapshot !== undefined) this.snapshot.release(mark.snapshot);
    if (mark.toldGap !== undefined) this.snapshot.releaseGap(mark.toldGap);
    if (mark.eventTimeS > 0) this.#eventTimeS = mark.eventTimeS;
    for (const place of places) {
      this.#partitions(place.destination).set(String(place.partition), place.nextOffset);
    }
  }

  /** Base offsets of partitions before their first message. */
  addOffsets(offsets: NextOffsets): void {
    for (const [destination, partitions] of Object.entries(offsets)) {
      const known = this.#partitions(destination);
      for (const [partition, offset] of Object.entries(partitions)) known.set(partition, offset);
    }
  }

  #partitions(destination: string): Map<string, number> {
    let partitions = this.#nextOffsets.get(destination);
    if (partitions === undefined) {
      partitions = new Map();
      this.#nextOffsets.set(destination, partitions);
    }
    return partitions;
  }

  /** Where a restart would begin now. */
  get position(): SourcePosition {
    assert(this.#position !== undefined, "the progress has no beginning");
    return { ...this.#position, gtidSet: this.#gtidSet.toString() };
  }

  /** The end of the last released transaction, if it is known as a place in a file. */
  get released(): ReleasedPosition | undefined {
    const { boundary } = this.#position ?? {};
    if (boundary === undefined || boundary.file === "") return undefined;
    return { ...boundary, eventTimeS: this.#eventTimeS };
  }

  /** Rows of the transaction behind it are released too. */
  get isInside(): boolean {
    return this.#position?.transaction !== undefined;
  }

  /** The next record for the commit log; each has a sequence number above the one before. */
  nextCheckpoint(): Checkpoint {
    const { pipeline, reader, delivery, output, clock } = this.#options;
    assert(this.#position !== undefined, "the progress has no beginning");
    const { serverUuid, boundary, transaction, anonymous } = this.#position;
    const { prepared = [], definitions = {} } = this.#position;
    const sequence = this.#sequence;
    this.#sequence += 1;
    return {
      version: 1,
      reader,
      pipeline,
      generation: this.#generation,
      sequence,
      written_at: new Date(clock.wallMs()).toISOString(),
      server_uuid: serverUuid,
      file: boundary.file,
      file_created: boundary.fileCreated,
      position: boundary.position,
      gtid_set: this.#gtidSet.toString(),
      anonymous,
      transaction: transaction ?? null,
      event_time: this.#eventTimeS > 0 ? new Date(this.#eventTimeS * 1000).toISOString() : null,
      delivery,
      output,
      next_offsets: Object.fromEntries(
        [...this.#nextOffsets].map(([name, partitions]) => [name, Object.fromEntries(partitions)]),
      ),
      snapshot: this.snapshot.state,
      ...(prepared.length > 0 ? { prepared } : {}),
      ...(Object.keys(definitions).length > 0 ? { definitions } : {}),
    };
  }
}
