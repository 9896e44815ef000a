/**
 * Every error that Kafka or kafkajs can raise, as one of ours. Decided by Kafka's error code, or by the
 * name of kafkajs's class, never by the text of a message. What is not listed is taken as the worst: it is
 * unknown what arrived.
 */
import { TidemarkError, toTidemarkError, type ErrorCode } from "../core/errors.ts";

type Codes = Readonly<Record<number, string>>;

/** Passes by itself, or after new metadata: the same request is sent again. */
const RETRIABLE: Codes = {
  2: "CORRUPT_MESSAGE",
  3: "UNKNOWN_TOPIC_OR_PARTITION",
  5: "LEADER_NOT_AVAILABLE",
  6: "NOT_LEADER_OR_FOLLOWER",
  7: "REQUEST_TIMED_OUT",
  8: "BROKER_NOT_AVAILABLE",
  9: "REPLICA_NOT_AVAILABLE",
  11: "STALE_CONTROLLER_EPOCH",
  13: "NETWORK_EXCEPTION",
  14: "COORDINATOR_LOAD_IN_PROGRESS",
  15: "COORDINATOR_NOT_AVAILABLE",
  16: "NOT_COORDINATOR",
  19: "NOT_ENOUGH_REPLICAS",
  20: "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
  38: "INVALID_REPLICATION_FACTOR", // Also while too few brokers are up.
  41: "NOT_CONTROLLER",
  51: "CONCURRENT_TRANSACTIONS",
  56: "KAFKA_STORAGE_ERROR",
  60: "REASSIGNMENT_IN_PROGRESS",
  72: "LISTENER_NOT_FOUND",
  74: "FENCED_LEADER_EPOCH",
  75: "UNKNOWN_LEADER_EPOCH",
  78: "OFFSET_NOT_AVAILABLE",
  80: "PREFERRED_LEADER_NOT_AVAILABLE",
  83: "ELIGIBLE_LEADERS_NOT_AVAILABLE",
  89: "THROTTLING_QUOTA_EXCEEDED",
};

/** The broker will not take this batch, and has appended nothing of it. */
const REFUSED: Codes = {
  10: "MESSAGE_TOO_LARGE",
  18: "RECORD_LIST_TOO_LARGE",
  32: "INVALID_TIMESTAMP",
  43: "UNSUPPORTED_FOR_MESSAGE_FORMAT",
  44: "POLICY_VIOLATION",
  76: "UNSUPPORTED_COMPRESSION_TYPE",
  87: "INVALID_RECORD",
};

const DENIED: Codes = {
  29: "TOPIC_AUTHORIZATION_FAILED",
  30: "GROUP_AUTHORIZATION_FAILED",
  31: "CLUSTER_AUTHORIZATION_FAILED",
  33: "UNSUPPORTED_SASL_MECHANISM",
  34: "ILLEGAL_SASL_STATE",
  53: "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
  54: "SECURITY_DISABLED",
  58: "SASL_AUTHENTICATION_FAILED",
  65: "DELEGATION_TOKEN_AUTHORIZATION_FAILED",
  66: "DELEGATION_TOKEN_EXPIRED",
};

/** Topics and brokers that are not set up for us. */
const SETTING: Codes = {
  17: "INVALID_TOPIC_EXCEPTION",
  35: "UNSUPPORTED_VERSION",
  37: "INVALID_PARTITIONS",
  39: "INVALID_REPLICA_ASSIGNMENT",
  40: "INVALID_CONFIG",
};

/** The producer is done for; what was in flight may or may not have arrived. Named for the log only. */
const FATAL: Codes = {
  [-1]: "UNKNOWN_SERVER_ERROR",
  1: "OFFSET_OUT_OF_RANGE",
  21: "INVALID_REQUIRED_ACKS",
  42: "INVALID_REQUEST",
  45: "OUT_OF_ORDER_SEQUENCE_NUMBER",
  46: "DUPLICATE_SEQUENCE_NUMBER",
  48: "INVALID_TXN_STATE",
  49: "INVALID_PRODUCER_ID_MAPPING",
  50: "INVALID_TRANSACTION_TIMEOUT",
  52: "TRANSACTION_COORDINATOR_FENCED",
  55: "OPERATION_NOT_ATTEMPTED",
  59: "UNKNOWN_PRODUCER_ID",
};

/** Another instance has taken the epoch after ours. It comes from nobody else: see fence.ts. */
const REPLACED: Codes = {
  47: "INVALID_PRODUCER_EPOCH",
  90: "PRODUCER_FENCED",
};

export const TOPIC_ALREADY_EXISTS = 36;
export const UNKNOWN_TOPIC_OR_PARTITION = 3;
export const LEADER_NOT_AVAILABLE = 5;
export const OFFSET_OUT_OF_RANGE = 1;
export const MESSAGE_TOO_LARGE = 10;
export const RECORD_LIST_TOO_LARGE = 18;
export const CONCURRENT_TRANSACTIONS = 51;
export const TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53;

/** Whether Kafka refuses the user, and not the request. */
export function isDenied(code: number): boolean {
  return code in DENIED;
}

export function kafkaErrorName(code: number): string {
  const name = [RETRIABLE, REFUSED, DENIED, SETTING, REPLACED, FATAL].find(codes => code in codes);
  return `${name?.[code] ?? "code"} (${code})`;
}

/** A broker answered with an error code. */
export class KafkaResponseError extends Error {
  override readonly name = "KafkaResponseError";
  readonly code: number;

  constructor(code: number, request: string, detail?: string | null) {
    super(`${request}: ${kafkaErrorName(code)}${detail == null ? "" : `, ${detail}`}`);
    this.code = code;
  }
}

/** The connection cannot be used: not made, lost, timed out, or closed by ourselves. */
export class KafkaUnreachableError extends Error {
  override readonly name = "KafkaUnreachableError";
}

/** Nobody answered; any answer, be it a refusal, is none of these. */
export function isUnreachable(thrown: unknown): boolean {
  return thrown instanceof Error && UNREACHABLE.has(thrown.name);
}

/** kafkajs's classes for connections that fail and answers that do not come. */
const UNREACHABLE: ReadonlySet<string> = new Set([
  "KafkaUnreachableError",
  "KafkaJSConnectionError",
  "KafkaJSConnectionClosedError",
  "KafkaJSRequestTimeoutError",
  "KafkaJSLockTimeout",
  "KafkaJSBrokerNotFound",
  "KafkaJSMetadataNotLoaded",
  "KafkaJSTopicMetadataNotLoaded",
  "KafkaJSNoBrokerAvailableError",
]);

function ofResponse(code: number): ErrorCode {
  if (code in RETRIABLE) return "SINK_UNAVAILABLE";
  if (code in REFUSED) return "MESSAGE_REFUSED";
  if (code in DENIED) return "ACCESS_DENIED";
  if (code in SETTING) return "SINK_SETTING";
  if (code in REPLACED) return "TAKEN_OVER";
  return "SINK_OUTCOME_UNKNOWN";
}

/** Which of our errors a thrown value is; undefined for what did not come from Kafka or kafkajs. */
export function errorCodeOf(thrown: unknown): ErrorCode | undefined {
  if (!(thrown instanceof Error)) return undefined;
  if (thrown instanceof KafkaResponseError) return ofResponse(thrown.code);
  if (UNREACHABLE.has(thrown.name)) return "SINK_UNAVAILABLE";
  if (thrown.name === "KafkaJSSASLAuthenticationError") return "ACCESS_DENIED";
  if (thrown.name === "KafkaJSServerDoesNotSupportApiKey") return "SINK_SETTING";
  if (thrown.name === "KafkaJSProtocolError" && "code" in thrown) {
    return ofResponse(Number(thrown.code));
  }
  return thrown.name.startsWith("KafkaJS") ? "SINK_OUTCOME_UNKNOWN" : undefined;
}

const ADVICE: Partial<Record<ErrorCode, string>> = {
  ACCESS_DENIED: "Check sink.sasl and the privileges of this user",
  SINK_SETTING: "Change the setting of the topic or the broker",
  TAKEN_OVER: "Another instance runs this pipeline now; each pipeline may run once",
  SINK_OUTCOME_UNKNOWN: "The pipeline begins again from its commit log",
};

/** @param doing what was tried, as in "Sending to orders, partition 3". */
export function toKafkaError(thrown: unknown, doing: string): TidemarkError {
  if (thrown instanceof TidemarkError) return thrown;
  const code = errorCodeOf(thrown);
  if (code === undefined) return toTidemarkError(thrown);
  const { message } = thrown as Error;
  const advice = ADVICE[code] === undefined ? "" : ` ${ADVICE[code]}.`;
  return new TidemarkError(code, `${doing} failed: ${message}.${advice}`, { cause: thrown });
}
