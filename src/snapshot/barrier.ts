/**
 * The place in the stream where the rows of a locked table belong: what changed the table in front of it is in
 * them, and nothing that comes behind. So whatever tells of rows behind it waits until they are through.
 */
import { binlogFileNumber } from "../core/checkpoint.ts";
import type { Entry } from "../core/entry.ts";
import type { LockPlace } from "./chunk-source.ts";
import type { HandedOut } from "./handed-out.ts";

export class Barrier {
  readonly #place: LockPlace;
  #isReached = false;
  #isLost = false;

  constructor(place: LockPlace) {
    this.#place = place;
  }

  /** To be asked in front of each entry that is handed out. */
  mayPass({ changes, notice, schemaChanges = [], mark }: Entry): boolean {
    if (mark.serverUuid !== this.#place.serverUuid && !this.#isReached) this.#isLost = true;
    if (this.#isLost) return true;
    const told = [
      ...schemaChanges,
      ...changes.slice(0, 1),
      ...(notice === undefined ? [] : [notice]),
    ];
    if (told.every(({ origin }) => isInFront(origin, this.#place))) return true;
    this.#isReached = true;
    return false;
  }

  /** The rows may enter. */
  isReached(handedOut: HandedOut): boolean {
    const { serverUuid } = handedOut.mark;
    const isHere = serverUuid === this.#place.serverUuid && handedOut.isBetween;
    if (isHere && handedOut.hasPassed(this.#place)) this.#isReached = true;
    return this.#isReached;
  }

  /** The stream is that of another server now, where the place says nothing. */
  get isLost(): boolean {
    return this.#isLost;
  }
}

type Place = Pick<LockPlace, "file" | "position">;

/** Whether an event that begins here is in front of the place. */
function isInFront(event: Place, place: Place): boolean {
  const files = binlogFileNumber(event.file) - binlogFileNumber(place.file);
  return files < 0 || (files === 0 && event.position < place.position);
}
