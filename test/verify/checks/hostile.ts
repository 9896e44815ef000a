/** A server of ours that damages its packets: the reader ends with a typed error, each time, and soon. */
import { randomUUID } from "node:crypto";
import { openReader } from "../../../src/binlog/open-reader.ts";
import { TidemarkError } from "../../../src/core/errors.ts";
import { recordedEvents } from "../../support/event-mutations.ts";
import { HostileServer } from "../../support/hostile-server.ts";
import type { Outcome } from "../campaign.ts";
import { rounds } from "../options.ts";
import { progress } from "../progress.ts";
import type { CheckContext } from "./check.ts";

const CASES = 10_000;
const START_TIMEOUT_MS = 2_000;
const HANG_MS = 20_000;
const SHOWN_MAX = 5;
const TYPED = new Set([
  "SOURCE_UNAVAILABLE",
  "SOURCE_SETTING",
  "ACCESS_DENIED",
  "POSITION_LOST",
  "POSITION_UNUSABLE",
  "SOURCE_TAKEN_OVER",
  "EVENT_UNREADABLE",
  "TRANSACTION_IN_DOUBT",
  "ROW_TOO_LARGE",
]);

export async function hostile({ options }: CheckContext): Promise<Outcome> {
  const planned = rounds(options, CASES);
  const server = await HostileServer.start(recordedEvents());
  const figures = { seed: options.seed, cases: 0, with_events: 0, wrong: 0, slowest_ms: 0 };
  const codes: Record<string, number> = {};
  let stray: unknown;
  const onStray = (error: unknown): void => void (stray ??= error);
  process.on("uncaughtException", onStray);
  process.on("unhandledRejection", onStray);
  const { error: tell } = console;
  console.error = () => undefined; // mysql2 prints what it thinks of each packet.
  try {
    while (figures.cases < planned && figures.wrong < SHOWN_MAX) {
      const seed = options.seed + figures.cases;
      server.seed = seed;
      const startedAt = performance.now();
      const { thrown, events } = await read(server.port);
      figures.slowest_ms = Math.max(figures.slowest_ms, Math.round(performance.now() - startedAt));
      figures.cases += 1;
      if (events > 0) figures.with_events += 1;
      const code = thrown instanceof TidemarkError ? thrown.code : "none";
      codes[code] = (codes[code] ?? 0) + 1;
      if (TYPED.has(code) && stray === undefined) continue;
      figures.wrong += 1;
      progress(`hostile: seed ${seed}: ${String(stray ?? thrown)}`);
      stray = undefined;
    }
  } finally {
    console.error = tell;
    process.off("uncaughtException", onStray);
    process.off("unhandledRejection", onStray);
    await server.stop();
  }
  const isVoid = figures.with_events < planned / 10;
  const ok = figures.wrong === 0 && figures.slowest_ms < HANG_MS && !isVoid;
  return { ok, void: isVoid, figures: { ...figures, ...codes } };
}

async function read(port: number): Promise<{ thrown: unknown; events: number }> {
  const reader = openReader("native", {
    connection: { host: "127.0.0.1", port, user: "u" },
    serverId: 1,
    replicaUuid: randomUUID(),
    wants: () => true,
    heartbeatMs: 1_000,
    startTimeoutMs: START_TIMEOUT_MS,
  });
  const start = { kind: "position", file: "binlog.000002", position: 4 } as const;
  let events = 0;
  try {
    for await (const batch of reader.events(start, AbortSignal.timeout(HANG_MS))) {
      events += batch.length;
    }
    return { thrown: new Error("it never ended"), events };
  } catch (thrown) {
    return { thrown, events };
  }
}
