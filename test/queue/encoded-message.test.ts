import { describe, expect, test } from "vitest";
import { Encoder } from "../../src/queue/encoder.ts";
import { EncodedMessage } from "../../src/queue/encoded-message.ts";
import type { Message } from "../../src/sinks/sink.ts";
import { entry, rows, table } from "../support/builders.ts";

const SHARED_BYTES = 64 * 1024;

/** Of so many rows, each a value and a tombstone. */
function messagesOf(count: number): EncodedMessage[] {
  const encoder = new Encoder({
    format: {
      name: "test",
      write: (_, row, out) => {
        out.keys.integer(row);
        out.endKey();
        out.values.text(`value ${row}`);
        out.message("");
        out.tombstone(":t");
      },
    },
    router: (database, name) => `${database}.${name}`,
    events: new Set(["insert"]),
  });
  const cells = Array.from({ length: count }, (_, i) => [String(i), "a"]);
  const messages: Message[] = [];
  const change = {
    transaction: { id: "server:7", gtid: "server:7", thread: 1 },
    origin: { file: "binlog.000001", position: 150, timestampS: 1, serverId: 1 },
    ...{ rows: rows(table(), cells), first: 0, count, firstNumber: 40, endsTransaction: true },
  };
  encoder.encode(entry(0, { changes: [change] }), messages);
  return messages.filter(message => message instanceof EncodedMessage);
}

const shownOf = ({ id, key, value, bytes }: Message): object => ({
  ...{ id, bytes },
  key: key?.toString(),
  value: value?.toString(),
});

describe("EncodedMessage", () => {
  test("stands in bytes that it shares with its neighbours, a line feed behind each value", () => {
    const [first, , second] = messagesOf(2);
    expect(first?.data).toBe(second?.data);
    expect(first?.data.length).toBe(SHARED_BYTES);
    expect(first?.data[first.end]).toBe(0x0a);
    expect(second?.start).toBe((first?.end ?? 0) + 1);
  });

  test("keeps nobody's bytes but its own once it is detached, and says the same", () => {
    const messages = messagesOf(3);
    const before = messages.map(shownOf);
    for (const message of messages) message.detach();
    expect(messages.map(shownOf)).toEqual(before);
    for (const { data, end, key, line, value } of messages) {
      expect(data.buffer.byteLength).toBeLessThan(SHARED_BYTES);
      expect(key?.buffer.byteLength).toBeLessThan(SHARED_BYTES);
      if (value === null) expect(line).toBeUndefined();
      else expect(data[end]).toBe(0x0a);
    }
  });

  test("may be detached twice", () => {
    const [message] = messagesOf(1);
    message?.detach();
    message?.detach();
    expect(message && shownOf(message)).toMatchObject({ key: "0", value: '"value 0"' });
  });
});
