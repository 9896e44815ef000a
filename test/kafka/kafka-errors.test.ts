import kafkajsErrors from "kafkajs";
import { describe, expect, test } from "vitest";
import { TidemarkError, errorCodes } from "../../src/core/errors.ts";
import {
  KafkaResponseError,
  KafkaUnreachableError,
  errorCodeOf,
  toKafkaError,
} from "../../src/kafka/kafka-errors.ts";

const {
  KafkaJSConnectionError,
  KafkaJSNonRetriableError,
  KafkaJSNumberOfRetriesExceeded,
  KafkaJSRequestTimeoutError,
} = kafkajsErrors;

describe("an error of Kafka", () => {
  test.each([
    [3, "SINK_UNAVAILABLE"],
    [5, "SINK_UNAVAILABLE"],
    [6, "SINK_UNAVAILABLE"],
    [7, "SINK_UNAVAILABLE"],
    [19, "SINK_UNAVAILABLE"],
    [20, "SINK_UNAVAILABLE"],
    [56, "SINK_UNAVAILABLE"],
    [10, "MESSAGE_REFUSED"],
    [18, "MESSAGE_REFUSED"],
    [32, "MESSAGE_REFUSED"],
    [44, "MESSAGE_REFUSED"],
    [87, "MESSAGE_REFUSED"],
    [29, "ACCESS_DENIED"],
    [31, "ACCESS_DENIED"],
    [58, "ACCESS_DENIED"],
    [17, "SINK_SETTING"],
    [45, "SINK_OUTCOME_UNKNOWN"],
    [46, "SINK_OUTCOME_UNKNOWN"],
    [47, "TAKEN_OVER"],
    [49, "SINK_OUTCOME_UNKNOWN"],
    [59, "SINK_OUTCOME_UNKNOWN"],
    [90, "TAKEN_OVER"],
    [-1, "SINK_OUTCOME_UNKNOWN"],
    [12_345, "SINK_OUTCOME_UNKNOWN"],
  ] as const)("with code %i is %s", (code, expected) => {
    expect(errorCodeOf(new KafkaResponseError(code, "Produce"))).toBe(expected);
  });

  test("is one of ours whatever its code", () => {
    for (let code = -1; code < 200; code += 1) {
      const found = errorCodeOf(new KafkaResponseError(code, "Produce"));
      expect(Object.keys(errorCodes)).toContain(found);
      expect(found).not.toBe("BUG");
    }
  });

  test("names what was tried, and keeps its cause", () => {
    const cause = new KafkaResponseError(29, "Produce", "no");
    const error = toKafkaError(cause, "Sending");
    expect(error).toMatchObject({ code: "ACCESS_DENIED", cause });
    expect(error.message).toContain(
      "Sending failed: Produce: TOPIC_AUTHORIZATION_FAILED (29), no.",
    );
  });
});

describe("an error of kafkajs", () => {
  test.each([
    [new KafkaUnreachableError("gone"), "SINK_UNAVAILABLE"],
    [new KafkaJSConnectionError("gone", {}), "SINK_UNAVAILABLE"],
    [
      new KafkaJSRequestTimeoutError("late", {
        broker: "b",
        clientId: "c",
        correlationId: 1,
        createdAt: 1,
        sentAt: 1,
        pendingDuration: 1,
      }),
      "SINK_UNAVAILABLE",
    ],
    [
      Object.assign(new Error("wrong"), { name: "KafkaJSSASLAuthenticationError" }),
      "ACCESS_DENIED",
    ],
    [new KafkaJSNonRetriableError("odd"), "SINK_OUTCOME_UNKNOWN"],
    [
      new KafkaJSNumberOfRetriesExceeded("tired", { retryCount: 1, retryTime: 1 }),
      "SINK_OUTCOME_UNKNOWN",
    ],
  ] as const)("%s is %s", (error, expected) => {
    expect(errorCodeOf(error)).toBe(expected);
  });

  test("goes by its protocol code if it has one", () => {
    const error = Object.assign(new Error("refused"), { name: "KafkaJSProtocolError", code: 58 });
    expect(errorCodeOf(error)).toBe("ACCESS_DENIED");
  });
});

test("errors of nobody are bugs; ours stay what they are", () => {
  expect(errorCodeOf(new TypeError("x"))).toBeUndefined();
  expect(toKafkaError(new TypeError("x"), "Sending").code).toBe("BUG");
  const ours = new TidemarkError("TAKEN_OVER", "x");
  expect(toKafkaError(ours, "Sending")).toBe(ours);
});
