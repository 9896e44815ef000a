/** InitProducerId, versions 3 and 4, which kafkajs does not know: bytes by Kafka's description of the message. */
import { expect, test } from "vitest";
import { decodeInit, initRequest } from "../../src/kafka/coordinator.ts";
import { keepUpMsOf } from "../../src/kafka/fence.ts";

const nobody = { producerId: -1n, producerEpoch: -1 };

test("writes a request", () => {
  const request = initRequest("ab", 60_000, { producerId: 7n, producerEpoch: 3 });
  expect(request.toString("hex")).toBe(
    "00" + "036162" + "0000ea60" + "0000000000000007" + "0003" + "00", // prettier-ignore
  );
});

test("writes long names, and none", () => {
  const long = initRequest("x".repeat(200), 1, nobody);
  expect(long.subarray(0, 4).toString("hex")).toBe("00c90178");
  expect(long.length).toBe(1 + 2 + 200 + 4 + 8 + 2 + 1);
  const edges = [126, 127, 128].map(length => initRequest("x".repeat(length), 1, nobody));
  expect(edges.map(bytes => bytes.subarray(1, 3).toString("hex"))).toEqual([
    "7f78",
    "8001",
    "8101",
  ]);
  expect(initRequest(null, 1, nobody).toString("hex")).toBe("00" + "00" + "00000001" + "ff".repeat(10) + "00"); // prettier-ignore
});

test("reads an answer", () => {
  const answer = Buffer.from(
    "00" + "00000000" + "005a" + "0000000000000102" + "7fff" + "00",
    "hex",
  );
  expect(decodeInit(answer)).toEqual({ errorCode: 90, producerId: 258n, producerEpoch: 32_767 });
});

test.each([
  ["nothing is known", {}, 6 * 60 * 60_000],
  ["the defaults", { transactional: 604_800_000, producer: 86_400_000 }, 6 * 60 * 60_000],
  ["one minute", { transactional: 60_000, producer: 60_000 }, 20_000],
  ["the shorter one", { transactional: 600_000, producer: 90_000 }, 30_000],
  ["no more than every ten seconds", { transactional: 3_000, producer: 3_000 }, 10_000],
])("the fence is kept up: %s", (_, known: { transactional?: number; producer?: number }, ms) => {
  const settings = new Map<string, string>();
  const { transactional, producer } = known;
  if (transactional) settings.set("transactional.id.expiration.ms", String(transactional));
  if (producer) settings.set("producer.id.expiration.ms", String(producer));
  expect(keepUpMsOf(settings)).toBe(ms);
});
