/** The headers of Standard Webhooks 1.0: an id that stays the same over retries, and signatures. */
import { createHmac } from "node:crypto";

const PREFIX = "whsec_";

/** The bytes that a secret `whsec_…` stands for. */
export function signingKey(secret: string): Buffer {
  return Buffer.from(secret.slice(PREFIX.length), "base64");
}

/**
 * The message id as a header can carry it: what is not visible ASCII, as in the name of a table, is
 * percent-encoded, and so is the percent sign.
 */
export function webhookId(messageId: string): string {
  return messageId.replaceAll(/[^\x21-\x7e]|%/gu, encodeURIComponent);
}

/** A signature with each key, so that a receiver may know either while keys are changed. */
export function signatures(
  keys: readonly Buffer[],
  { id, timestampS, body }: { id: string; timestampS: number; body: Buffer },
): string {
  const head = `${id}.${timestampS}.`;
  return keys
    .map(key => `v1,${createHmac("sha256", key).update(head).update(body).digest("base64")}`)
    .join(" ");
}
