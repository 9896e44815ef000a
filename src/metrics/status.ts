/**
 * A pipeline's state at one moment, worked out from its vitals. Looked at once a second (watch.ts): what
 * has to be seen to change, such as bytes arriving, is then known to a second.
 */
import { binlogFileNumber } from "../core/checkpoint.ts";
import { purgeMs } from "../core/purge.ts";
import type { Trouble, Troubles } from "../core/troubles.ts";
import type {
  BinlogNews,
  Gauges,
  Phase,
  ReadEntry,
  ReleasedPosition,
  Vitals,
} from "../core/vitals.ts";

export interface TroubleStatus extends Trouble {
  readonly forMs: number;
}

export interface PipelineStatus {
  readonly pipeline: string;
  readonly phase: Phase;
  readonly phaseForMs: number;
  readonly detail: string;
  readonly connected: boolean;
  /** How long MySQL has not been connected, and why; 0 while it is. */
  readonly disconnectedMs: number;
  readonly reason: string | undefined;
  /** How long nothing at all came from MySQL, not even a heartbeat; 0 while reading is paused. */
  readonly silentMs: number;
  /** How long the reader has done nothing, and waited for nothing that it may wait for. */
  readonly readerStillMs: number;
  readonly waitingEntries: number;
  readonly waitingRows: number;
  readonly waitingBytes: number;
  readonly waitingBytesMax: number;
  readonly waitingEntriesMax: number;
  /** How long ago the oldest entry that is not released was read. */
  readonly oldestMs: number;
  /** How long nothing was released although something waits. */
  readonly stalledMs: number;
  /** How long reading has waited for room in the queue. */
  readonly fullMs: number;
  readonly blocker: Gauges["blocker"];
  readonly sink: string;
  readonly flushIntervalMs: number;
  readonly windowMs: number;
  readonly heldRows: number;
  readonly heldBytes: number;
  readonly lagMs: number;
  readonly lagBytes: number | undefined;
  /** At the earliest; Infinity if the server removes nothing by itself. */
  readonly purgeMs: number | undefined;
  /** How long the commit log has lacked something that was released. */
  readonly uncommittedMs: number;
  /** How long the commit log has not answered; it is asked every second. */
  readonly commitLogSilentMs: number;
  readonly released: ReleasedPosition | undefined;
  /** Seconds since 1970 of the newest event read; 0 if there is none. */
  readonly lastReadTimeS: number;
  readonly sourceTroubles: readonly TroubleStatus[];
  readonly sinkTroubles: readonly TroubleStatus[];
  readonly commitLogTroubles: readonly TroubleStatus[];
}

/** Something was read so shortly ago that more is likely to come. */
const MOVING_MS = 2_000;

/** Looks at one pipeline again and again, and remembers when it last saw something move. */
export class PipelineObserver {
  readonly vitals: Vitals;
  #bytesRead = -1;
  #turns = -1;
  #heardMs: number;
  #turnedMs: number;
  #connectedMs: number;

  constructor(vitals: Vitals) {
    this.vitals = vitals;
    this.#heardMs = this.#turnedMs = this.#connectedMs = vitals.clock.nowMs();
  }

  look(): PipelineStatus {
    const { vitals } = this;
    const nowMs = vitals.clock.nowMs();
    const gauges = vitals.gauges?.();
    this.#watchReader(gauges, nowMs);
    const since = (ms: number | undefined): number => (ms === undefined ? 0 : nowMs - ms);
    const oldest = gauges?.oldest;
    const lastReleaseMs = gauges?.lastReleaseMs ?? 0;
    const connected = gauges?.source.connected === true;
    return {
      pipeline: vitals.pipeline,
      phase: vitals.phase,
      phaseForMs: nowMs - vitals.phaseSinceMs,
      detail: vitals.detail,
      connected,
      disconnectedMs: nowMs - this.#connectedMs,
      reason: gauges?.source.reason,
      silentMs: nowMs - this.#heardMs,
      readerStillMs: nowMs - this.#turnedMs,
      waitingEntries: gauges?.waiting.entries ?? 0,
      waitingRows: gauges?.waiting.items ?? 0,
      waitingBytes: gauges?.waiting.bytes ?? 0,
      waitingBytesMax: gauges?.waitingMax.bytes ?? 0,
      waitingEntriesMax: gauges?.waitingMax.entries ?? 0,
      oldestMs: since(oldest?.readMs),
      stalledMs: oldest ? nowMs - Math.max(oldest.readMs, lastReleaseMs) : 0,
      fullMs: gauges?.full === true ? since(gauges.newest?.readMs) : 0,
      blocker: gauges?.blocker,
      sink: gauges?.sink ?? "",
      flushIntervalMs: gauges?.flushIntervalMs ?? 0,
      windowMs: gauges?.windowMs ?? 0,
      heldRows: gauges?.held.rows ?? 0,
      heldBytes: gauges?.held.bytes ?? 0,
      lagMs: gauges ? lagMs(gauges, nowMs, vitals.clock.wallMs()) : 0,
      lagBytes: lagBytes(vitals.binlog, gauges?.released),
      purgeMs: purgeMs(vitals.binlog, gauges?.released, vitals.clock.wallMs()),
      uncommittedMs: since(gauges?.uncommittedSinceMs),
      commitLogSilentMs: since(vitals.commitLogAnsweredMs),
      released: gauges?.released,
      lastReadTimeS: gauges?.newest?.mark.eventTimeS ?? 0,
      sourceTroubles: open(vitals.sourceTroubles, nowMs),
      sinkTroubles: open(vitals.sinkTroubles, nowMs),
      commitLogTroubles: open(vitals.commitLogTroubles, nowMs),
    };
  }

  #watchReader(gauges: Gauges | undefined, nowMs: number): void {
    if (gauges === undefined) {
      // Nothing is read yet, or not any more: there is nothing to be silent.
      this.#heardMs = this.#turnedMs = this.#connectedMs = nowMs;
      return;
    }
    const { bytesRead, turns, paused, connected } = gauges.source;
    const hasMoved = bytesRead !== this.#bytesRead || turns !== this.#turns || paused;
    this.#bytesRead = bytesRead;
    this.#turns = turns;
    if (hasMoved) this.#turnedMs = nowMs;
    // While there is no connection, it is that which is told, not the silence.
    if (hasMoved || !connected) this.#heardMs = nowMs;
    if (connected) this.#connectedMs = nowMs;
  }
}

function open(troubles: Troubles, nowMs: number): TroubleStatus[] {
  return troubles.open.map(trouble => ({ ...trouble, forMs: nowMs - trouble.sinceMs }));
}

/**
 * How old the change is that consumers wait for: now minus the event time of the oldest entry that is not
 * released. While entries come one after the other and are released at once, the newest one counts, which
 * is old only while we catch up. Not "newest released": after a quiet hour that would be an hour.
 */
function lagMs(gauges: Gauges, nowMs: number, wallMs: number): number {
  const { oldest, newest } = gauges;
  // An entry without rows, such as a change of the file, carries the time of an event long before it.
  const ageOf = ({ rows, mark, readMs }: ReadEntry): number =>
    rows > 0 && mark.eventTimeS > 0 ? Math.max(0, wallMs - mark.eventTimeS * 1000) : nowMs - readMs;
  if (oldest !== undefined) return ageOf(oldest);
  const isMoving = newest !== undefined && nowMs - newest.readMs < MOVING_MS;
  // What was just released is not waited for; a time stamp of the binlog is up to a second old, too.
  return isMoving ? Math.max(0, ageOf(newest) - MOVING_MS - 1_000) : 0;
}

/** Bytes of binlog between what is released and the end that the server told last. */
export function lagBytes(
  news: BinlogNews | undefined,
  released: ReleasedPosition | undefined,
): number | undefined {
  if (news === undefined || released === undefined) return undefined;
  const ours = binlogFileNumber(released.file);
  let bytes = 0;
  for (const file of news.files) {
    const number = binlogFileNumber(file.name);
    if (number > ours) bytes += file.bytes;
    else if (number === ours) bytes += Math.max(0, file.bytes - released.position);
  }
  return bytes;
}
