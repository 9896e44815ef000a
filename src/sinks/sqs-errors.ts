/**
 * Every error that SQS, its client or the network can raise, as one of ours. Decided by the name or code
 * of the error, then by the HTTP status, never by the text of a message.
 */
import { TidemarkError, toTidemarkError, type ErrorCode } from "../core/errors.ts";
import { isCertificateFault } from "../core/tls-errors.ts";

const NAMES: Partial<Record<ErrorCode, readonly string[]>> = {
  /** Passes by itself: the same request is sent again. */
  SINK_UNAVAILABLE: [
    "RequestThrottled",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "SlowDown",
    "OverLimit",
    "KmsThrottled",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "RequestTimeout",
    "RequestTimeoutException",
    "TimeoutError",
    "AbortError",
    // The client corrects its clock by the answer.
    "RequestExpired",
    "RequestTimeTooSkewed",
    "RequestInTheFuture",
  ],
  ACCESS_DENIED: [
    "AccessDenied",
    "AccessDeniedException",
    "NotAuthorized",
    "OptInRequired",
    "InvalidSecurity",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "ExpiredTokenException",
    "CredentialsProviderError",
    "TokenProviderError",
    "KmsAccessDenied",
  ],
  SINK_SETTING: [
    "QueueDoesNotExist",
    "NonExistentQueue",
    "QueueDeletedRecently",
    "InvalidAddress",
    "UnsupportedOperation",
    "KmsDisabled",
    "KmsInvalidKeyUsage",
    "KmsInvalidState",
    "KmsNotFound",
    "KmsOptInRequired",
    "EPROTO",
  ],
  /** The message cannot be taken, now or later. */
  MESSAGE_REFUSED: [
    "InvalidMessageContents",
    "InvalidParameterValue",
    "InvalidParameterValueException",
    "InvalidAttributeValue",
    "BatchRequestTooLong",
    "MessageTooLong",
  ],
};

const CODES: ReadonlyMap<string, ErrorCode> = new Map(
  Object.entries(NAMES).flatMap(([code, names]) =>
    names.map(name => [name, code as ErrorCode] as const),
  ),
);

/** Of connections that are not made, or lost. */
const NETWORK: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EHOSTDOWN",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_SOCKET",
]);
const NO_ANSWER: ReadonlySet<string> = new Set(["TimeoutError", "AbortError"]);

interface AwsError extends Error {
  readonly code?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** Nobody answered; any answer, be it a refusal, is none of these. */
export function isSqsUnreachable(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  const { code, name } = thrown as AwsError;
  return NO_ANSWER.has(name) || (typeof code === "string" && NETWORK.has(code));
}

/** Of one message in a batch; `senderFault` decides about codes that are not known. */
export function entryErrorCode(code: string, senderFault: boolean): ErrorCode {
  // As in AWS.SimpleQueueService.NonExistentQueue.
  const name = code.slice(code.lastIndexOf(".") + 1);
  return CODES.get(name) ?? (senderFault ? "MESSAGE_REFUSED" : "SINK_UNAVAILABLE");
}

function errorCodeOf(thrown: AwsError): ErrorCode | undefined {
  if (isSqsUnreachable(thrown)) return "SINK_UNAVAILABLE";
  if (isCertificateFault(thrown)) return "SINK_SETTING";
  const code = typeof thrown.code === "string" ? CODES.get(thrown.code) : undefined;
  const named = CODES.get(thrown.name) ?? code;
  if (named !== undefined) return named;
  const status = thrown.$metadata?.httpStatusCode;
  if (status === 401 || status === 403) return "ACCESS_DENIED";
  if (status === 408 || status === 429) return "SINK_UNAVAILABLE";
  if (status !== undefined && status >= 400 && status < 500) return "SINK_SETTING";
  // An answer that is none, as a proxy gives it, or no error of a client at all: then it is our bug.
  const isNoHttp = typeof thrown.code === "string" && /^(HPE|UND_ERR)_/.test(thrown.code);
  const isAnswer = status !== undefined || isNoHttp || thrown instanceof SyntaxError;
  return isAnswer ? "SINK_UNAVAILABLE" : undefined;
}

const ADVICE: Partial<Record<ErrorCode, string>> = {
  ACCESS_DENIED:
    "Give Tidemark credentials by one of AWS's usual ways, and permission for sqs:SendMessage, " +
    "sqs:GetQueueUrl and sqs:GetQueueAttributes on the queue",
  SINK_SETTING: "Make the queue, or change sink.queue, sink.region or sink.endpoint",
};

/** @param doing what was tried, as in "Sending to orders.fifo". */
export function toSqsError(thrown: unknown, doing: string): TidemarkError {
  if (thrown instanceof TidemarkError) return thrown;
  const code = thrown instanceof Error ? errorCodeOf(thrown) : undefined;
  if (code === undefined) return toTidemarkError(thrown);
  const { name, message } = thrown as Error;
  return sqsError(code, { doing, name, message, cause: thrown });
}

export function sqsError(
  code: ErrorCode,
  {
    doing,
    name,
    message,
    cause,
  }: { doing: string; name: string; message: string; cause?: unknown },
): TidemarkError {
  const advice = ADVICE[code] === undefined ? "" : ` ${ADVICE[code]}.`;
  return new TidemarkError(code, `${doing} failed: ${reason(name, message)}.${advice}`, { cause });
}

const REASON_LENGTH_MAX = 300;

/** One line: some answers go on with pages of what was signed. */
function reason(name: string, message: string): string {
  const [line = ""] = message.split("\n");
  const text = name === "Error" || line.startsWith(name) ? line : `${name}: ${line}`;
  return text.slice(0, REASON_LENGTH_MAX).replace(/[\s.:,]+$/, "");
}
