import { afterAll, expect, test } from "vitest";
import { heartbeatValue } from "../../src/formats/row-events.ts";
import { Heartbeats } from "../../src/pipeline/heartbeats.ts";
import type { Message } from "../../src/sinks/sink.ts";
import { ManualClock } from "../support/manual-clock.ts";

const ended = new AbortController();
afterAll(() => ended.abort());

const clock = new ManualClock();
const sent: Message[] = [];
const heartbeats = new Heartbeats({
  sink: { write: messages => void sent.push(...messages), room: () => Promise.resolve() },
  intervalMs: 30_000,
  destination: "tidemark.heartbeat",
  generation: () => 7,
  value: () => heartbeatValue(1_539_710_711_900),
  clock,
});

async function pass(ms: number): Promise<readonly string[]> {
  sent.length = 0;
  clock.advance(ms);
  await new Promise(resolve => setImmediate(resolve));
  return sent.map(({ id }) => id);
}

test("a heartbeat follows each silence, and none a destination that is down", async () => {
  void heartbeats.run(ended.signal);
  expect(await pass(29_999)).toEqual([]);
  expect(await pass(1)).toEqual(["heartbeat/7/1"]);
  const [first] = sent;
  expect(first?.value?.toString()).toBe('{"timestamp":1539710711,"type":"heartbeat"}');

  expect(await pass(30_000)).toEqual([]);
  if (first) heartbeats.delivered(first);
  expect(await pass(20_000)).toEqual([]);
  heartbeats.write([]);
  expect(await pass(20_000)).toEqual([]);
  expect(await pass(10_000)).toEqual(["heartbeat/7/2"]);
});
