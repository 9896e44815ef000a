/**
 * Every way in which RabbitMQ closes a channel or a connection, as one of our errors. Decided by AMQP's
 * reply code, never by the text that comes with it.
 */
import { TidemarkError, toTidemarkError, type ErrorCode } from "../core/errors.ts";
import { isCertificateFault } from "../core/tls-errors.ts";

const REPLIES: Readonly<Record<number, ErrorCode>> = {
  311: "MESSAGE_REFUSED", // content-too-large
  312: "MESSAGE_REFUSED", // no-route
  320: "SINK_UNAVAILABLE", // connection-forced: the broker is shut down
  402: "SINK_SETTING", // invalid-path
  403: "ACCESS_DENIED", // access-refused
  404: "SINK_SETTING", // not-found: no such exchange
  405: "SINK_UNAVAILABLE", // resource-locked: by the connection before, until the broker has given it up
  406: "SINK_SETTING", // precondition-failed: it exists and is of another type
  506: "SINK_UNAVAILABLE", // resource-error
  530: "SINK_SETTING", // not-allowed: no such vhost, or not for this user
  540: "SINK_SETTING", // not-implemented
  541: "SINK_UNAVAILABLE", // internal-error: also a vhost that is not up yet
};

export const NOT_FOUND = 404;
export const RESOURCE_LOCKED = 405;
export const ACCESS_REFUSED = 403;
const PRECONDITION_FAILED = 406;
const CONTENT_TOO_LARGE = 311;
const NOT_ALLOWED = 530;
const BASIC_CLASS = 60;

/** Where a connection stood when it failed. */
export type Phase = "start" | "running";

/** AMQP's reply code, where the broker gave one. */
export function replyCodeOf(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error)) return undefined;
  if ("code" in thrown && typeof thrown.code === "number") return thrown.code;
  // amqplib keeps neither of these codes; the second is how the broker answers to a vhost.
  const [, code] = /^Handshake terminated by server: (\d{3}) /.exec(thrown.message) ?? [];
  if (code !== undefined) return Number(code);
  return thrown.message.startsWith("Expected ConnectionOpenOk; got <ConnectionClose")
    ? NOT_ALLOWED
    : undefined;
}

/** Whether the channel was closed because of a message, not because of what it was sent to. */
export function isOfMessage(thrown: unknown): boolean {
  const code = replyCodeOf(thrown);
  if (code === CONTENT_TOO_LARGE) return true;
  return code === PRECONDITION_FAILED && (thrown as { classId?: unknown }).classId === BASIC_CLASS;
}

const ADVICE: Partial<Record<ErrorCode, string>> = {
  ACCESS_DENIED: "Check sink.user, its password and its permissions in the vhost.",
  SINK_SETTING: "Check sink.vhost, sink.exchange and sink.declare.",
  SINK_OUTCOME_UNKNOWN: "The pipeline begins again from its commit log.",
};

/** @param doing what was tried, as in "Connecting to RabbitMQ at 127.0.0.1:5672". */
export function toRabbitmqError(thrown: unknown, doing: string, phase: Phase): TidemarkError {
  if (thrown instanceof TidemarkError) return thrown;
  if (thrown instanceof TypeError || !(thrown instanceof Error)) return toTidemarkError(thrown);
  const code = errorCodeOf(thrown, phase);
  const advice = isCertificateFault(thrown) ? "Check sink.tls." : ADVICE[code];
  const sentence = `${doing} failed: ${textOf(thrown)}.`;
  return new TidemarkError(code, advice === undefined ? sentence : `${sentence} ${advice}`, {
    cause: thrown,
  });
}

function errorCodeOf(thrown: Error, phase: Phase): ErrorCode {
  const reply = replyCodeOf(thrown);
  // A broker that is coming up may not have the vhost yet; at the start, a person is there to look.
  if (reply === NOT_ALLOWED && phase === "running") return "SINK_UNAVAILABLE";
  if (reply !== undefined) return REPLIES[reply] ?? "SINK_OUTCOME_UNKNOWN";
  if (thrown.message.startsWith("SASL mechanism")) return "SINK_SETTING";
  if (phase === "start" && isCertificateFault(thrown)) return "SINK_SETTING";
  return "SINK_UNAVAILABLE"; // Everything else that amqplib and the system say is of the connection.
}

/** What the broker or the system said. */
export function textOf(thrown: Error): string {
  if (thrown.message.startsWith("Expected ConnectionOpenOk")) {
    return "the vhost does not exist, or the user may not use it";
  }
  const said = /with message "([^"]*)"/.exec(thrown.message)?.[1] ?? thrown.message;
  // An AggregateError of several addresses has no message of its own.
  const text = said === "" && "code" in thrown ? String(thrown.code) : said;
  return text.replace(/[.\s]+$/, "");
}
