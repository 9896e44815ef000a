/**
 * A FIFO queue drops a message whose deduplication id it has taken less than five minutes ago, and not
 * later. After a restart that is a help as long as it holds for all of what is sent again: if the older
 * half of it were taken once more and the newer half dropped, an older value would come last. So all of it
 * gets new ids, by another `renewal`, when the first message that is sent again may be too old.
 *
 * What a restart has to know stands in the checkpoint, where other sinks have their offsets:
 *
 *   next_offsets: { sqs: { 0: no message that is not released was sent before this time (ms since 1970),
 *                          1: the renewal } }
 */
import type { NextOffsets } from "../core/checkpoint.ts";
import type { Message, Place, SinkResume } from "./sink.ts";

const NAME = "sqs";
/** Less than the five minutes, for a message that was long on its way. */
const RENEW_MS = 4 * 60_000;
/** A checkpoint older than this is renewed before something is sent. */
const CLAIM_MS = 30_000;
/** Times are kept this coarse, so that an hour's worth of them takes no room. */
const GRAIN_MS = 500;

interface Sent {
  readonly ms: number;
  seq: number;
}

export class SendWindow {
  readonly #wallMs: () => number;
  renewal = 0;
  /** By entry: messages that are neither delivered nor refused. In the order of the entries. */
  readonly #open = new Map<number, number>();
  /** When messages were first sent, up to which entry; ascending times. */
  #sent: Sent[] = [];
  /** What the commit log was last given. */
  #place: Place = { destination: NAME, partition: 0, nextOffset: 0 };
  #lookedMs = -Infinity;

  constructor(wallMs: () => number) {
    this.#wallMs = wallMs;
  }

  /** Returns what has to be in the commit log before anything is sent. */
  open({ nextOffsets, sameServer, sameOutput }: SinkResume): NextOffsets {
    const nowMs = this.#wallMs();
    const { "0": since = -Infinity, "1": renewal = -1 } = nextOffsets?.[NAME] ?? {};
    const ageMs = nowMs - since;
    // Another server may have numbered the rows of a table without key in another order.
    const holds = sameServer && sameOutput && renewal >= 0 && ageMs >= 0 && ageMs <= RENEW_MS;
    this.renewal = holds ? renewal : Math.max(renewal + 1, Math.floor(nowMs / 1000));
    this.#place = { ...this.#place, nextOffset: holds ? since : nowMs };
    return holds ? {} : { [NAME]: { "0": nowMs, "1": this.renewal } };
  }

  given({ seq }: Message): void {
    this.#open.set(seq, (this.#open.get(seq) ?? 0) + 1);
  }

  sending(seq: number): void {
    const ms = Math.floor(this.#wallMs() / GRAIN_MS) * GRAIN_MS;
    const last = this.#sent.at(-1);
    if (last === undefined || last.ms < ms) this.#sent.push({ ms, seq });
    else last.seq = Math.max(last.seq, seq);
  }

  settled({ seq }: Message): void {
    const left = (this.#open.get(seq) ?? 0) - 1;
    if (left > 0) this.#open.set(seq, left);
    else this.#open.delete(seq);
  }

  /** What a checkpoint that ends with a message delivered now has to say. */
  get place(): Place {
    const nowMs = this.#wallMs();
    // An earlier time is never wrong, so it is not looked for each time.
    if (Math.abs(nowMs - this.#lookedMs) < GRAIN_MS) return this.#place;
    this.#lookedMs = nowMs;
    this.#place = { ...this.#place, nextOffset: this.#since(nowMs) };
    return this.#place;
  }

  /** What has to be put into the commit log before anything is sent: after a rest, it is too old. */
  get claim(): NextOffsets | undefined {
    const nowMs = this.#wallMs();
    if (nowMs - this.#place.nextOffset < CLAIM_MS) return undefined;
    const since = this.#since(nowMs);
    if (since - this.#place.nextOffset < CLAIM_MS) return undefined;
    this.#place = { ...this.#place, nextOffset: since };
    return { [NAME]: { "0": since } };
  }

  /** No message of an entry that may be unreleased was sent before. */
  #since(nowMs: number): number {
    const [first] = this.#open.keys();
    const kept = first === undefined ? [] : this.#sent.filter(({ seq }) => seq >= first);
    this.#sent = kept;
    return Math.min(nowMs, kept[0]?.ms ?? nowMs);
  }
}
