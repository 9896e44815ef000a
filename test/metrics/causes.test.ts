/** The whole table of what makes a pipeline unready, and what does not. */
import { describe, expect, test } from "vitest";
import { causesOf, isReady, type Bounds } from "../../src/metrics/causes.ts";
import type { PipelineStatus, TroubleStatus } from "../../src/metrics/status.ts";

const BOUNDS: Bounds = {
  heartbeatMs: 12_000,
  stalledMs: 10_000,
  unacknowledgedMs: 60_000,
  lagMs: 300_000,
};

const FINE: PipelineStatus = {
  pipeline: "shop",
  phase: "running",
  phaseForMs: 60_000,
  detail: "",
  connected: true,
  disconnectedMs: 0,
  reason: undefined,
  silentMs: 4_900,
  readerStillMs: 0,
  waitingEntries: 3,
  waitingRows: 3,
  waitingBytes: 300,
  waitingBytesMax: 48_000_000,
  waitingEntriesMax: 100_000,
  oldestMs: 150,
  stalledMs: 90,
  fullMs: 0,
  blocker: { destination: "shop.orders", partition: 2 },
  sink: "kafka",
  flushIntervalMs: 100,
  windowMs: 0,
  heldRows: 0,
  heldBytes: 0,
  lagMs: 900,
  lagBytes: 100,
  purgeMs: Infinity,
  uncommittedMs: 100,
  commitLogSilentMs: 900,
  released: undefined,
  lastReadTimeS: 0,
  sourceTroubles: [],
  sinkTroubles: [],
  commitLogTroubles: [],
};

function trouble(changes: Partial<TroubleStatus>): TroubleStatus {
  const place = { topic: "shop.orders", partition: 2 };
  return { sinceMs: 0, forMs: 5_000, message: "It failed.", unreachable: false, place, ...changes };
}

interface Case {
  readonly when: string;
  readonly status: Partial<PipelineStatus>;
  readonly causes: readonly string[];
  readonly says?: string;
}

const FROZEN = { stalledMs: 11_000, oldestMs: 11_000 };

const CASES: readonly Case[] = [
  { when: "all is well", status: {}, causes: [] },
  { when: "it starts", status: { phase: "starting" }, causes: ["start"], says: "It is starting." },
  {
    when: "it starts and waits",
    status: { phase: "starting", detail: "The commit log" },
    causes: ["commit_log"],
    says: "It starts, and waits for the commit log.",
  },
  {
    when: "it starts and MySQL fails",
    status: { phase: "starting", sourceTroubles: [trouble({ message: "No MySQL" })] },
    causes: ["mysql"],
    says: "No MySQL.",
  },
  {
    when: "MySQL is connected, and our disk is full",
    status: { reason: "Make room there", silentMs: 3_000 },
    causes: ["mysql"],
    says: "Make room there.",
  },
  {
    when: "the disk was full for a moment",
    status: { reason: "Make room there", silentMs: 1_000 },
    causes: [],
  },
  {
    when: "it begins again",
    status: { phase: "restarting", detail: "Another server answers." },
    causes: ["restart"],
    says: "It begins again: Another server answers.",
  },
  { when: "it was asked to stop", status: { phase: "stopping" }, causes: ["stop"] },
  {
    when: "it has ended",
    status: { phase: "ended", detail: "The binlog was purged." },
    causes: ["ended"],
    says: "It has ended: The binlog was purged.",
  },
  {
    when: "MySQL is not connected",
    status: { connected: false, disconnectedMs: 3_000, reason: "ECONNREFUSED" },
    causes: ["mysql"],
    says: "MySQL is not connected: ECONNREFUSED.",
  },
  { when: "MySQL is silent up to the bound", status: { silentMs: 12_000 }, causes: [] },
  {
    when: "MySQL is silent for longer",
    status: { silentMs: 12_001 },
    causes: ["mysql"],
    says: "MySQL has sent nothing for 12 s, not even a heartbeat.",
  },
  {
    when: "a broker does not answer",
    status: { sinkTroubles: [trouble({ unreachable: true })] },
    causes: ["broker"],
  },
  {
    when: "one attempt has failed",
    status: { sinkTroubles: [trouble({ forMs: 1_999 })] },
    causes: [],
  },
  {
    when: "a partition takes nothing",
    status: { sinkTroubles: [trouble({})] },
    causes: ["partition"],
  },
  {
    when: "the disk is full",
    status: { sink: "file", sinkTroubles: [trouble({ place: undefined })] },
    causes: ["destination"],
  },
  {
    when: "a frozen broker has not failed yet",
    status: FROZEN,
    causes: ["broker"],
    says: "Nothing was delivered for 11 s: the oldest message waits for shop.orders, partition 2, which has not answered.",
  },
  {
    when: "a frozen broker holds the commit log too",
    status: { ...FROZEN, commitLogSilentMs: 11_000 },
    causes: ["broker", "commit_log"],
  },
  {
    when: "a new partition waits for a commit log that fails",
    status: { ...FROZEN, commitLogTroubles: [trouble({ forMs: 9_000, unreachable: false })] },
    causes: ["commit_log"],
  },
  {
    when: "the topic is not made yet",
    status: { ...FROZEN, blocker: { destination: "shop.orders", partition: undefined } },
    causes: ["broker"],
    says: "Nothing was delivered for 11 s: the oldest message waits for shop.orders, which has not answered.",
  },
  {
    when: "nobody reads standard output",
    status: { ...FROZEN, sink: "stdout", blocker: undefined },
    causes: ["destination"],
    says: "Nothing was delivered for 11 s.",
  },
  {
    when: "a stall is explained by a trouble",
    status: { ...FROZEN, sinkTroubles: [trouble({})] },
    causes: ["partition"],
  },
  { when: "a de-duplication window", status: { ...FROZEN, windowMs: 10_000 }, causes: [] },
  { when: "a long flush interval", status: { ...FROZEN, flushIntervalMs: 5_000 }, causes: [] },
  {
    when: "the commit log fails",
    status: { commitLogTroubles: [trouble({})] },
    causes: ["commit_log"],
  },
  {
    when: "the commit log cannot be reached",
    status: { commitLogTroubles: [trouble({ unreachable: true })] },
    causes: ["broker"],
  },
  { when: "a checkpoint is not taken", status: { uncommittedMs: 10_300 }, causes: ["commit_log"] },
  {
    when: "the commit log does not answer",
    status: { commitLogSilentMs: 12_000 },
    causes: ["commit_log"],
    says: "The commit log has not answered for 12 s.",
  },
  {
    when: "the destination is slow",
    status: { oldestMs: 61_000 },
    causes: ["behind"],
    says: "The oldest entry that is not delivered was read 61 s ago (bound: 60 s).",
  },
  {
    when: "it catches up",
    status: { lagMs: 3_600_000 },
    causes: ["behind"],
    says: "What is delivered now is 3600 s old (bound: 300 s).",
  },
  {
    when: "MySQL and Kafka are both away",
    status: { connected: false, sinkTroubles: [trouble({ unreachable: true })] },
    causes: ["mysql", "broker"],
  },
];

describe("a pipeline is not ready", () => {
  test.each(CASES)("$when: $causes", ({ status, causes, says }) => {
    const found = causesOf({ ...FINE, ...status }, BOUNDS);
    expect(found.map(cause => cause.name)).toEqual(causes);
    expect(isReady(found)).toBe(causes.length === 0);
    if (says !== undefined) expect(found[0]?.sentence).toBe(says);
    for (const { sentence } of found) expect(sentence).toMatch(/^[A-Z].*[.…]$/);
  });
});

test("a full queue is told, and alone makes nothing unready", () => {
  const causes = causesOf({ ...FINE, fullMs: 1_000 }, BOUNDS);
  expect(causes.map(cause => cause.name)).toEqual(["memory"]);
  expect(isReady(causes)).toBe(true);
});

test("the partition that holds up the oldest entry is named, not the first that fails", () => {
  const other = { topic: "shop.audit", partition: 0 };
  const sinkTroubles = [trouble({ place: other, forMs: 9_000 }), trouble({})];
  const [cause] = causesOf({ ...FINE, sinkTroubles }, BOUNDS);
  expect(cause?.place).toEqual({ topic: "shop.orders", partition: 2 });
  const [first] = causesOf({ ...FINE, sinkTroubles, blocker: undefined }, BOUNDS);
  expect(first?.place).toEqual(other);
});

test("sentences hold no passwords and no line breaks", () => {
  const reason = "connect\nmysql://cdc:hunter2@db failed";
  const [cause] = causesOf({ ...FINE, connected: false, reason }, BOUNDS);
  expect(cause?.sentence).not.toContain("hunter2");
  expect(cause?.sentence).not.toContain("\n");
});
