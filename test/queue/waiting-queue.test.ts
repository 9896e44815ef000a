import { describe, expect, test } from "vitest";
import { WaitingQueue } from "../../src/queue/waiting-queue.ts";
import { entry } from "../support/builders.ts";

const never = new AbortController().signal;

describe("WaitingQueue", () => {
  test("is full at its number of entries, delivered ones included", () => {
    const queue = new WaitingQueue({ entriesMax: 2, bytesMax: 1000 });
    queue.push(entry(0));
    queue.push(entry(1));
    queue.releasePayload(0);
    queue.releasePayload(1);
    expect(queue.hasRoomFor(1)).toBe(false);
    queue.shift();
    expect(queue.hasRoomFor(1)).toBe(true);
  });

  test("is full at its bytes, and has room again as soon as a payload is delivered", async () => {
    const queue = new WaitingQueue({ entriesMax: 10, bytesMax: 100 });
    queue.push(entry(0, { bytes: 60 }));
    queue.push(entry(1, { bytes: 30 }));
    const room = queue.room(20, never);
    expect(queue.hasRoomFor(20)).toBe(false);
    queue.releasePayload(1);
    await room;
    expect(queue.bytes).toBe(60);
  });

  test("admits an entry larger than its bytes only when no other payload is held", () => {
    const queue = new WaitingQueue({ entriesMax: 10, bytesMax: 100 });
    expect(queue.hasRoomFor(5000)).toBe(true);
    queue.push(entry(0, { bytes: 1 }));
    expect(queue.hasRoomFor(5000)).toBe(false);
    queue.releasePayload(0);
    expect(queue.hasRoomFor(5000)).toBe(true);
  });

  test("counts a payload once, however often its delivery is reported", () => {
    const queue = new WaitingQueue({ entriesMax: 10, bytesMax: 100 });
    queue.push(entry(0, { bytes: 40 }));
    queue.push(entry(1, { bytes: 50 }));
    queue.releasePayload(0);
    queue.releasePayload(0);
    queue.shift();
    expect(queue.bytes).toBe(50);
  });

  test("refuses a gap in the sequence", () => {
    const queue = new WaitingQueue({ entriesMax: 10, bytesMax: 100 });
    queue.push(entry(0));
    expect(() => queue.push(entry(2))).toThrow(/entry 2 follows entry 0/);
  });

  test("gives up waiting when it is told to", async () => {
    const queue = new WaitingQueue({ entriesMax: 1, bytesMax: 100 });
    queue.push(entry(0));
    const stop = new AbortController();
    const room = queue.room(1, stop.signal);
    stop.abort(new Error("stopped"));
    await expect(room).rejects.toThrow("stopped");
  });
});
