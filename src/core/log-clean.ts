/** Makes what is about to be logged safe to be read by anyone, and bounded in size. */

const REDACTED = "********";
const TEXT_LENGTH_MAX = 4_000;
const ITEMS_MAX = 50;
const DEPTH_MAX = 5;

const SECRET_FIELDS: ReadonlySet<string> = new Set([
  "authorization",
  "credentials",
  "passphrase",
  "passwd",
  "password",
  "privatekey",
  "private_key",
  "sasl",
  "secret",
  "token",
]);

/** Hides passwords in URLs, private keys and secrets of webhooks; cuts what is too long. */
export function cleanText(text: string): string {
  if (text.includes("PRIVATE KEY-----")) return REDACTED;
  const short = text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}…` : text;
  return short
    .replaceAll(/\bwhsec_[A-Za-z0-9+/=]+/g, `whsec_${REDACTED}`)
    .replaceAll(/(:\/\/[^\s:@/]{0,200}):[^\s@/]{0,200}@/g, `$1:${REDACTED}@`);
}

export function cleanFields(fields: object, withStacks: boolean): Record<string, unknown> {
  const cleaned = clean(fields instanceof Error ? { error: fields } : fields, withStacks, 0);
  return typeof cleaned === "object" && cleaned !== null
    ? (cleaned as Record<string, unknown>)
    : { value: cleaned };
}

function clean(value: unknown, withStacks: boolean, depth: number): unknown {
  if (typeof value === "string") return cleanText(value);
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth > DEPTH_MAX) return "…";
  if (value instanceof Error) return cleanError(value, withStacks, depth);
  if (ArrayBuffer.isView(value)) return `<${value.byteLength} bytes>`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (Array.isArray(value)) {
    return value.slice(0, ITEMS_MAX).map(item => clean(item, withStacks, depth + 1));
  }
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, ITEMS_MAX)
      .map(([key, item]) => [
        key,
        SECRET_FIELDS.has(key.toLowerCase()) ? REDACTED : clean(item, withStacks, depth + 1),
      ]),
  );
}

/** Fields of a driver's error beside these may hold statements or rows. */
function cleanError(error: Error, withStacks: boolean, depth: number): unknown {
  return {
    ...("code" in error ? { code: String(error.code) } : {}),
    message: cleanText(error.message),
    ...(error.cause === undefined ? {} : { cause: clean(error.cause, withStacks, depth + 1) }),
    ...(withStacks && error.stack !== undefined ? { stack: cleanText(error.stack) } : {}),
  };
}
