/** A binlog file as the events that a dump of it would give. */
import { basename } from "node:path";
import { setImmediate } from "node:timers/promises";
import { TidemarkError } from "../core/errors.ts";
import { KNOWN_COLLATIONS } from "./charsets.ts";
import { EventType, HEADER_SIZE } from "./event-header.ts";
import { EventTranslator } from "./event-translator.ts";
import { FileEvents } from "./file-events.ts";
import { ROW_BYTES_MAX } from "./pulled-reader.ts";
import type { BinlogEvent, TableFilter } from "./reader.ts";
import { parseSmallEvent } from "./small-events.ts";

export interface FileReaderOptions {
  readonly wants: TableFilter;
  /** Takes a sentence about a file that was still being written. */
  readonly warn: (sentence: string) => void;
}

/** Whichever is reached first. */
const BATCH_EVENTS = 500;
const BATCH_BYTES = 2 ** 20;

/**
 * Batches of events, in order; what stands in front of a fault comes before it.
 *
 * @throws TidemarkError USAGE for what is no file; EVENT_UNREADABLE, SOURCE_SETTING and their like.
 */
export async function* readBinlogFile(
  path: string,
  options: FileReaderOptions,
): AsyncGenerator<readonly BinlogEvent[], void, undefined> {
  const file = new FileEvents(path);
  const group = new OpenGroup();
  try {
    for (const batch of batchesOf(file, path, options)) {
      for (const event of batch) group.pass(event);
      yield batch;
      await setImmediate(); // Signals are heard in between.
    }
  } finally {
    file.close();
  }
  const torn = tornAt(file, group);
  if (torn === undefined) return;
  if (!file.isInUse) throw new TidemarkError("EVENT_UNREADABLE", `${path} is cut short: ${torn}.`);
  options.warn(`${path} was still being written, or its server crashed: ${torn}.`);
}

function* batchesOf(
  file: FileEvents,
  path: string,
  { wants }: FileReaderOptions,
): Generator<readonly BinlogEvent[]> {
  let batch: BinlogEvent[] = [];
  let bytes = 0;
  const emit = (event: BinlogEvent): void => {
    batch.push(event);
    if (event.kind === "rows") bytes += event.rows.bytes;
  };
  const take = (): readonly BinlogEvent[] => {
    const taken = batch;
    batch = [];
    bytes = 0;
    return taken;
  };
  const translator = new EventTranslator({
    wants,
    emit,
    xa: "stop",
    rowBytesMax: ROW_BYTES_MAX,
    parse: parseSmallEvent,
  });
  translator.collations = KNOWN_COLLATIONS;
  translator.translate(rotationTo(basename(path)));
  try {
    for (let event = file.next(); event !== undefined; event = file.next()) {
      const steps = translator.translate(event);
      while (steps !== undefined && steps.next().done !== true) yield take();
      if (batch.length >= BATCH_EVENTS || bytes >= BATCH_BYTES) yield take();
    }
  } catch (thrown) {
    yield take();
    throw thrown;
  }
  yield take();
}

/** What a server sends in front of a file, to name it. */
function rotationTo(name: string): Buffer {
  const event = Buffer.alloc(HEADER_SIZE + ROTATE_HEAD_SIZE + Buffer.byteLength(name));
  event.writeUInt8(EventType.rotate, 4);
  event.write(name, HEADER_SIZE + ROTATE_HEAD_SIZE);
  return event;
}

const ROTATE_HEAD_SIZE = 8;

/** Where the transaction begins that has not ended. */
class OpenGroup {
  position: number | undefined;
  #hasBegun = false;

  pass(event: BinlogEvent): void {
    if (event.kind === "gtid" || event.kind === "begin") {
      this.position ??= event.position;
      this.#hasBegun ||= event.kind === "begin";
    } else if (
      event.kind === "commit" ||
      event.kind === "rollback" ||
      (event.kind === "statement" && !this.#hasBegun)
    ) {
      this.position = undefined;
      this.#hasBegun = false;
    }
  }
}

function tornAt(file: FileEvents, group: OpenGroup): string | undefined {
  if (file.endsWithin) return `it ends within the event at ${file.position}`;
  if (group.position === undefined) return undefined;
  return `it ends within the transaction at ${group.position}`;
}
