import { expect, test, vi } from "vitest";
import { silentLogger, type Logger } from "../../src/core/logger.ts";
import { Vitals, type Gauges } from "../../src/core/vitals.ts";
import { binlogWatch } from "../../src/pipeline/binlog-watch.ts";
import { ManualClock } from "../support/manual-clock.ts";

const INTERVAL_MS = 60_000;
const HOUR_S = 3_600;

test("warns once before the server removes what is not delivered, and again after it had time", async () => {
  const clock = new ManualClock();
  const vitals = new Vitals("shop", clock, { left: 1 });
  const stop = new AbortController();
  const warnings: object[] = [];
  const logger: Logger = { ...silentLogger, warn: fields => warnings.push(fields) };
  const files = [3, 4].map(number => ({ name: `binlog.00000${number}`, bytes: 1_000 }));
  const binlogFiles = vi.fn(() => Promise.resolve({ files, expireS: 4 * HOUR_S }));
  let eventTimeS = 0;
  const released = (): Gauges["released"] => ({
    ...{ file: "binlog.000003", fileCreated: 1, position: 4, eventTimeS },
  });
  vitals.gauges = () => ({ released: released() }) as Gauges;
  const watching = binlogWatch({
    ...{ server: { binlogFiles }, vitals, clock, logger, signal: stop.signal },
    intervalMs: INTERVAL_MS,
  });
  const asked = async (ageS: number): Promise<void> => {
    eventTimeS = clock.wallMs() / 1000 + INTERVAL_MS / 1000 - ageS;
    const before = binlogFiles.mock.calls.length;
    await vi.waitFor(() => {
      if (binlogFiles.mock.calls.length === before) clock.advance(INTERVAL_MS);
      expect(binlogFiles.mock.calls.length).toBeGreaterThan(before);
    });
    await Promise.resolve();
  };
  await vi.waitFor(() => expect(binlogFiles).toHaveBeenCalled());
  warnings.length = 0;
  await asked(2 * HOUR_S);
  expect(warnings).toEqual([]);
  await asked(3.5 * HOUR_S);
  await vi.waitFor(() => {
    expect(warnings).toEqual([
      { file: "binlog.000003", seconds_left: HOUR_S / 2, kept_seconds: 4 * HOUR_S },
    ]);
  });
  await asked(3.9 * HOUR_S);
  expect(warnings).toHaveLength(1);
  await asked(1 * HOUR_S);
  await asked(3.9 * HOUR_S);
  await vi.waitFor(() => expect(warnings).toHaveLength(2));
  stop.abort();
  await watching;
});
