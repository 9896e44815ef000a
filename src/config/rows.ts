/** `columns` and `filter` of a pipeline: what a person writes, and what the program makes of it. */
import { z } from "zod";
import { columnPatternFault } from "./column-pattern.ts";
import type { ColumnsConfig, ConditionConfig, FilterConfig } from "./config.ts";
import type { Path } from "./faults.ts";
import { readNamedSecret, type Collector } from "./files.ts";
import { checked, integer, secret, text } from "./scalars.ts";
import { tablePatternFault } from "./table-pattern.ts";

const HASH_KEY_MIN = 16;
const LENGTH_MAX = 1_000_000;

const patterns = (): z.ZodDefault<z.ZodArray<z.ZodString>> =>
  z
    .array(checked(text(), columnPatternFault), {
      error: 'expected a list such as ["*.*.password"]',
    })
    .default([]);

export const columnsSchema = z
  .strictObject({
    exclude: patterns().describe("Columns that are left out."),
    mask: patterns().describe("Columns that show `****` in the place of every value but NULL."),
    hash: patterns().describe(
      "Columns that show the HMAC-SHA256 of their values under `hash_key`, as 64 hexadecimal digits: equal " +
        "values stay equal. A column of a key can be hashed; it cannot be excluded, masked or truncated.",
    ),
    truncate: z
      .array(
        z.strictObject({
          column: checked(text(), columnPatternFault).describe("Pattern as in `exclude`."),
          length: integer(0, LENGTH_MAX).describe(
            "Characters that are left; bytes of binary data.",
          ),
        }),
        { error: 'expected a list such as [{ column: "shop.users.notes", length: 20 }]' },
      )
      .default([])
      .describe("Columns that show the first characters of their values."),
    hash_key: secret()
      .optional()
      .describe("Key for `hash`, at least 16 characters; best written as `${HASH_KEY}`."),
    hash_key_file: text()
      .optional()
      .describe(
        "File that holds the key, instead of `hash_key`. One line break at its end is ignored.",
      ),
  })
  .optional()
  .describe(
    "Columns that are hidden before anything else sees their values, as patterns " +
      "`database.table.column` with `*` and `?`. For a column named more than once the first of exclude, mask, hash, truncate counts.",
  );

const value = (): z.ZodUnion<readonly [z.ZodString, z.ZodNumber, z.ZodBoolean, z.ZodNull]> =>
  z.union([z.string(), z.number(), z.boolean(), z.null()], {
    error: "expected a text, a number, true, false or null",
  });
const values = (): z.ZodArray<ReturnType<typeof value>> =>
  z.array(value(), { error: "expected a list of values" }).min(1, { error: "expected a value" });
const bound = (): z.ZodUnion<readonly [z.ZodString, z.ZodNumber]> =>
  z.union([z.string(), z.number()], { error: "expected a text or a number" });

const comparisonSchema = z
  .strictObject({
    not: z.union([value(), values()]).optional().describe("The value is none of these."),
    lt: bound().optional().describe("It is less."),
    lte: bound().optional().describe("It is less or equal."),
    gt: bound().optional().describe("It is more."),
    gte: bound().optional().describe("It is more or equal."),
  })
  .refine(given => Object.values(given).some(each => each !== undefined), {
    error: "expected at least one of not, lt, lte, gt, gte",
  });

const conditionSchema = z.union([value(), values(), comparisonSchema], {
  error: "expected a value, a list of values, or { not, lt, lte, gt, gte }",
});

export const filterSchema = z
  .array(
    z.strictObject({
      table: checked(text(), tablePatternFault)
        .refine(pattern => !pattern.startsWith("!"), { error: 'expected a pattern without "!"' })
        .describe("Tables that the conditions are for, as in `tables`."),
      where: z
        .record(z.string(), conditionSchema, {
          error: "expected conditions by column, such as { status: paid }",
        })
        .refine(where => Object.keys(where).length > 0, { error: "expected a condition" })
        .describe(
          "Conditions by column, all of which have to hold: a value, a list of values, or " +
            "`{ not, lt, lte, gt, gte }`. Numbers are compared by value, all else byte by byte.",
        ),
    }),
    { error: 'expected a list such as [{ table: "shop.orders", where: { status: paid } }]' },
  )
  .default([])
  .describe(
    "Rows that are sent; of tables without conditions all are. An update is sent if the row before it or " +
      "the row after it fits.",
  );

export type ColumnsSettings = NonNullable<z.output<typeof columnsSchema>>;
export type FilterSettings = z.output<typeof filterSchema>;

export function normaliseColumns(
  settings: ColumnsSettings,
  path: Path,
  collector: Collector,
): ColumnsConfig {
  const { exclude, mask, hash, truncate, hash_key, hash_key_file } = settings;
  const named = { name: "hash_key", value: hash_key, file: hash_key_file };
  const hashKey = readNamedSecret(named, path, collector) ?? "";
  if (hash.length > 0 && hashKey.length < HASH_KEY_MIN) {
    collector.faults.add(
      [...path, "hash_key"],
      hashKey === ""
        ? "is required, or hash_key_file: without a key, hashes of short values can be looked up"
        : `expected at least ${HASH_KEY_MIN} characters`,
    );
  }
  return { exclude, mask, hash, truncate, hashKey };
}

type Scalar = z.output<ReturnType<typeof value>>;

/** MySQL stores true and false as numbers. */
function textOf(scalar: Scalar): string | null {
  if (typeof scalar === "boolean") return scalar ? "1" : "0";
  return scalar === null ? null : String(scalar);
}

export function normaliseFilter(settings: FilterSettings): readonly FilterConfig[] {
  return settings.map(({ table, where }) => ({
    table,
    where: Object.fromEntries(
      Object.entries(where).map(([column, condition]) => [column, normaliseCondition(condition)]),
    ),
  }));
}

function normaliseCondition(condition: z.output<typeof conditionSchema>): ConditionConfig {
  if (Array.isArray(condition)) return { in: condition.map(textOf) };
  if (typeof condition !== "object" || condition === null) return { in: [textOf(condition)] };
  const { not, ...bounds } = condition;
  const given = Object.entries(bounds).filter(([, limit]) => limit !== undefined);
  return {
    ...(not === undefined ? {} : { notIn: (Array.isArray(not) ? not : [not]).map(textOf) }),
    ...Object.fromEntries(given.map(([name, limit]) => [name, String(limit)])),
  };
}
