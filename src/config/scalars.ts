/** Building blocks of the schema. Their messages say what is expected and never repeat the value. */
import { z } from "zod";

const SIZE = /^(\d{1,15}) ?(B|KB|MB|GB)?$/i;
const FACTORS: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1024,
  MB: 1024 ** 2,
  GB: 1024 ** 3,
};

/** `64MB` → 67108864; "MB" is 1024 × 1024. Undefined if it is not a size. */
export function parseSize(value: string | number): number | undefined {
  if (typeof value === "number") return Number.isSafeInteger(value) ? value : undefined;
  const [, digits, unit = "B"] = SIZE.exec(value) ?? [];
  if (digits === undefined) return undefined;
  const bytes = Number(digits) * (FACTORS[unit.toUpperCase()] ?? 1);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

export function formatSize(bytes: number): string {
  for (const unit of ["GB", "MB", "KB"]) {
    const factor = FACTORS[unit] ?? 1;
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return String(bytes);
}

/** A size in bytes, kept as it was written; `parseSize` reads it. */
export function size(min: string, max: string): z.ZodUnion<readonly [z.ZodInt, z.ZodString]> {
  const isInRange = (value: string | number): boolean => {
    const bytes = parseSize(value);
    return (
      bytes !== undefined && bytes >= (parseSize(min) ?? 0) && bytes <= (parseSize(max) ?? Infinity)
    );
  };
  return z
    .union([z.int(), z.string()], { error: `expected a size such as ${max}, or a number of bytes` })
    .refine(isInRange, { error: `expected a size from ${min} to ${max}` });
}

/** What `${NAME}` or `--set` bring is text; where a number is expected, text of digits is one. */
const numberFromText = (value: unknown): unknown =>
  typeof value === "string" && /^-?\d{1,15}$/.test(value) ? Number(value) : value;

export function integer(min: number, max: number): z.ZodPreprocess<z.ZodInt> {
  const error = `expected a whole number from ${min} to ${max}`;
  return z.preprocess(numberFromText, z.int({ error }).min(min, { error }).max(max, { error }));
}

const booleanFromText = (value: unknown): unknown =>
  value === "true" ? true : value === "false" ? false : value;

export function flag(): z.ZodPreprocess<z.ZodBoolean> {
  return z.preprocess(booleanFromText, z.boolean({ error: "expected true or false" }));
}

const mustBeText = (issue: { input?: unknown }): string =>
  typeof issue.input === "number" || typeof issue.input === "boolean"
    ? "expected text: put it in quotes"
    : "expected text";

/** Text of at least one character. */
export function text(): z.ZodString {
  return z
    .string({ error: mustBeText })
    .min(1, { error: "must not be empty" })
    .max(65_536, { error: "is too long" });
}

export function textMatching(pattern: RegExp, expected: string): z.ZodString {
  return text().regex(pattern, { error: `expected ${expected}` });
}

/** A password, or whatever else is printed as asterisks. May be empty. */
export function secret(): z.ZodString {
  return z
    .string({ error: mustBeText })
    .max(65_536, { error: "is too long" })
    .meta({ secret: true });
}

/** An address that may hold a password, which is printed as asterisks. */
export function secretUrl(): z.ZodString {
  return text().meta({ secret: "url" });
}

/**
 * One of a few words. `later` are words that the design knows and this release does not have, so that
 * whoever asks for one is told so.
 */
export function choice<const Words extends readonly string[]>(
  words: Words,
  later: readonly string[] = [],
): z.ZodEnum<{ [Word in Words[number]]: Word }> {
  return z.enum(words, { error: issue => expectedWord(issue.input, words, later) });
}

export function expectedWord(
  input: unknown,
  words: readonly string[],
  later: readonly string[],
): string {
  const known = later.find(word => word === input);
  const expected = words.length === 1 ? words.join("") : `one of ${words.join(", ")}`;
  if (known === undefined) return `expected ${expected}`;
  return `${known} is not in this release yet; expected ${expected}`;
}

/** Adds the fault that `check` finds in a text; undefined is none. */
export function checked(
  schema: z.ZodString,
  check: (value: string) => string | undefined,
): z.ZodString {
  return schema.check(context => {
    const message = check(context.value);
    if (message !== undefined) {
      context.issues.push({ code: "custom", message, input: undefined });
    }
  });
}
