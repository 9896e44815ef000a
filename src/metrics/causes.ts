/**
 * From a pipeline's status to what it waits for, each cause with a sentence. Readiness, the metric
 * `tidemark_waiting_seconds` and the log all come from here. A pure function: the table of its cases is
 * test/metrics/causes.test.ts.
 */
import { cleanText } from "../core/log-clean.ts";
import type { TroublePlace } from "../core/troubles.ts";
import type { PipelineStatus, TroubleStatus } from "./status.ts";

/** What is waited for, and what each word means: docs/metrics.md is made from this. */
export const CAUSES = {
  mysql: "MySQL cannot be reached, has ended the connection, or is silent",
  broker: "Kafka cannot be reached, or does not answer",
  partition: "a broker answers, but the partition takes no messages, such as one without a leader",
  destination: "the file or the standard output takes nothing, such as a full disk",
  commit_log: "the commit log takes no checkpoints",
  behind: "everything moves, but what is delivered is older than the bounds allow",
  start: "the pipeline is starting",
  restart: "the pipeline begins again from its commit log",
  stop: "it was asked to stop, and delivers what was read",
  ended: "the pipeline has ended and needs a person",
  memory: "reading is paused because the queue is full; this alone does not make it unready",
} as const;

export type CauseName = keyof typeof CAUSES;

export interface Cause {
  readonly name: CauseName;
  readonly sentence: string;
  readonly forMs: number;
  /** Where the messages cannot go. */
  readonly place: { readonly topic: string; readonly partition: number | undefined } | undefined;
}

/** Beyond these a pipeline is not ready. */
export interface Bounds {
  readonly heartbeatMs: number;
  readonly stalledMs: number;
  readonly unacknowledgedMs: number;
  readonly lagMs: number;
}

/** One failed attempt is usual when a partition moves or a connection is made anew. */
const TROUBLE_MS = 2_000;

export function isReady(causes: readonly Cause[]): boolean {
  return causes.every(cause => cause.name === "memory");
}

/** The most telling one first; empty if nothing is waited for. */
export function causesOf(status: PipelineStatus, bounds: Bounds): readonly Cause[] {
  switch (status.phase) {
    case "starting":
      return [starting(status)];
    case "restarting":
      return [cause("restart", status.phaseForMs, `It begins again: ${status.detail}`)];
    case "stopping":
      return [
        cause("stop", status.phaseForMs, "It was asked to stop."),
        ...running(status, bounds),
      ];
    case "ended":
      return [cause("ended", status.phaseForMs, `It has ended: ${status.detail}`)];
    case "running":
      return running(status, bounds);
  }
}

function cause(
  name: CauseName,
  forMs: number,
  sentence: string,
  place?: Cause["place"] | TroublePlace,
): Cause {
  const clean = cleanText(sentence).replaceAll(/\s+/g, " ").trim();
  return { name, forMs, sentence: /[.!?…]$/.test(clean) ? clean : `${clean}.`, place };
}

function starting(status: PipelineStatus): Cause {
  const { sourceTroubles, sinkTroubles, commitLogTroubles, detail, phaseForMs } = status;
  const [mysql] = sourceTroubles;
  if (mysql) return cause("mysql", mysql.forMs, mysql.message);
  const [sink] = sinkTroubles;
  if (sink) return sinkCause(sink);
  const [log] = commitLogTroubles;
  if (log) return commitLogCause(log);
  if (detail === "") return cause("start", phaseForMs, "It is starting.");
  // A start asks one server after the other, and has no trouble to tell before an attempt has failed.
  const name = AWAITED[detail] ?? "start";
  return cause(name, phaseForMs, `It starts, and waits for ${detail.replace(/^The /, "the ")}.`);
}

/** What a start says it waits for, as a cause. */
const AWAITED: Readonly<Record<string, CauseName>> = {
  MySQL: "mysql",
  Kafka: "broker",
  "The destination": "destination",
  "The commit log": "commit_log",
};

function running(status: PipelineStatus, bounds: Bounds): Cause[] {
  const found = [
    ...mysqlCauses(status, bounds),
    ...deliveryCauses(status, bounds),
    ...commitLogCauses(status, bounds),
  ];
  if (found.length === 0) found.push(...behindCauses(status, bounds));
  if (status.fullMs > 0) {
    const { waitingEntries, waitingBytes } = status;
    const held = `${waitingEntries} entries, ${waitingBytes} bytes`;
    found.push(cause("memory", status.fullMs, `Reading is paused: the queue is full (${held}).`));
  }
  return found;
}

function mysqlCauses(status: PipelineStatus, { heartbeatMs }: Bounds): Cause[] {
  const { connected, disconnectedMs, reason, silentMs } = status;
  if (!connected) {
    const told = reason === undefined ? "" : `: ${reason}`;
    return [cause("mysql", disconnectedMs, `MySQL is not connected${told}`)];
  }
  if (reason !== undefined && silentMs > TROUBLE_MS) return [cause("mysql", silentMs, reason)];
  if (silentMs <= heartbeatMs) return [];
  return [
    cause(
      "mysql",
      silentMs,
      `MySQL has sent nothing for ${seconds(silentMs)}, not even a heartbeat.`,
    ),
  ];
}

/** A commit log that fails explains a stall; one that is only silent does not, where both are in Kafka. */
function deliveryCauses(status: PipelineStatus, bounds: Bounds): Cause[] {
  const troubles = sinkCauses(status);
  if (troubles.length > 0 || lastingTrouble(status.commitLogTroubles)) return troubles;
  return stallCauses(status, bounds);
}

function lastingTrouble(troubles: readonly TroubleStatus[]): TroubleStatus | undefined {
  return troubles.find(({ forMs }) => forMs >= TROUBLE_MS);
}

/** The trouble of the partition that holds up the oldest entry, or else the one that lasts longest. */
function sinkCauses({ sinkTroubles, blocker }: PipelineStatus): Cause[] {
  const lasting = sinkTroubles.filter(({ forMs }) => forMs >= TROUBLE_MS);
  const ofBlocker = lasting.find(
    ({ place }) => place?.topic === blocker?.destination && place?.partition === blocker?.partition,
  );
  const trouble = ofBlocker ?? lasting[0];
  return trouble === undefined ? [] : [sinkCause(trouble)];
}

function sinkCause({ message, forMs, unreachable, place }: TroubleStatus): Cause {
  const refusing = place === undefined ? "destination" : "partition";
  return cause(unreachable ? "broker" : refusing, forMs, message, place);
}

function commitLogCause({ message, forMs, unreachable, place }: TroubleStatus): Cause {
  return cause(unreachable ? "broker" : "commit_log", forMs, message, place);
}

function commitLogCauses(status: PipelineStatus, { stalledMs }: Bounds): Cause[] {
  const { commitLogTroubles, uncommittedMs, commitLogSilentMs } = status;
  const trouble = lastingTrouble(commitLogTroubles);
  if (trouble) return [commitLogCause(trouble)];
  const forMs = Math.max(uncommittedMs - 2 * status.flushIntervalMs, commitLogSilentMs);
  if (forMs <= stalledMs) return [];
  return [cause("commit_log", forMs, `The commit log has not answered for ${seconds(forMs)}.`)];
}

function stallCauses(status: PipelineStatus, bounds: Bounds): Cause[] {
  const { stalledMs, blocker, sink } = status;
  if (stalledMs <= bounds.stalledMs + heldBackMs(status)) return [];
  const name = sink === "kafka" ? "broker" : "destination";
  const since = `Nothing was delivered for ${seconds(stalledMs)}`;
  if (blocker === undefined) return [cause(name, stalledMs, `${since}.`)];
  const { destination: topic, partition } = blocker;
  const where = partition === undefined ? topic : `${topic}, partition ${partition}`;
  const sentence = `${since}: the oldest message waits for ${where}, which has not answered.`;
  return [cause(name, stalledMs, sentence, { topic, partition })];
}

/** What we hold back ourselves is not late. */
function heldBackMs({ flushIntervalMs, windowMs }: PipelineStatus): number {
  return 2 * flushIntervalMs + windowMs;
}

function behindCauses(status: PipelineStatus, bounds: Bounds): Cause[] {
  const { oldestMs, lagMs, windowMs } = status;
  if (oldestMs > bounds.unacknowledgedMs + heldBackMs(status)) {
    const sentence =
      `The oldest entry that is not delivered was read ${seconds(oldestMs)} ago ` +
      `(bound: ${seconds(bounds.unacknowledgedMs)}).`;
    return [cause("behind", oldestMs - bounds.unacknowledgedMs, sentence, placeOf(status))];
  }
  if (lagMs <= bounds.lagMs + windowMs) return [];
  const sentence = `What is delivered now is ${seconds(lagMs)} old (bound: ${seconds(bounds.lagMs)}).`;
  return [cause("behind", lagMs - bounds.lagMs, sentence)];
}

function placeOf({ blocker }: PipelineStatus): Cause["place"] {
  return blocker && { topic: blocker.destination, partition: blocker.partition };
}

const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`;
