/** `source.snapshot`: the rows that tables have before their first change is read. */
import { z } from "zod";
import { checked, choice, flag, integer, text } from "./scalars.ts";
import { tablePatternFault } from "./table-pattern.ts";

/** The last two are what an environment variable such as INITIAL_SNAPSHOT holds. */
const modeSchema = z.preprocess(
  value => (typeof value === "boolean" ? String(value) : value),
  choice(["initial", "always", "never", "true", "false"]),
);

/** Empty is what an environment variable that is not set leaves. */
function snapshotHostFault(host: string): string | undefined {
  return /[\s/@]/.test(host)
    ? "expected a host name or an address, without a scheme and without a path"
    : undefined;
}

function tableNameFault(name: string): string | undefined {
  if (/^!|[*?]/.test(name)) return "expected the name of one table, such as shop.orders";
  return tablePatternFault(name);
}

const ROWS_MAX = 100_000;

const batchRowsSchema = z
  .union([z.literal("auto"), integer(1, ROWS_MAX)], {
    error: `expected auto, or a whole number from 1 to ${ROWS_MAX}`,
  })
  .default("auto")
  .describe(
    "Rows that are read at a time. `auto` begins with 1,000 and goes up to 10,000, as fast as the server " +
      "answers. Large rows are read fewer at a time.",
  );

export const snapshotSchema = z
  .strictObject({
    mode: modeSchema
      .default("never")
      .describe(
        "`initial`: the rows that are there are sent once, each with the next changes around it, and a table " +
          "that joins the configuration gets its own. `always`: at each start, once those of the start " +
          "before are sent. `never`: only changes are sent. `true` and `false` stand for `initial` and `never`.",
      ),
    force: flag()
      .default(false)
      .describe(
        "Whether `initial` is `always`: for a switch beside the one that `mode` is set from.",
      ),
    host: checked(z.string({ error: "expected text" }), snapshotHostFault)
      .default("")
      .describe(
        "A replica to read the rows from, so that the source is spared: with its user, password and `tls`. It is " +
          "waited for until it has what the stream has. Empty: the server whose changes are read.",
      ),
    port: integer(1, 65_535).optional().describe("Its port. Default: that of the source."),
    tables: z
      .array(checked(text(), tablePatternFault), { error: 'expected a list such as ["shop.*"]' })
      .default(["*.*"])
      .describe("Which of the captured tables, by patterns like those of a pipeline."),
    batch_rows: batchRowsSchema,
    parallel_tables: integer(1, 8)
      .default(1)
      .describe(
        "Tables that are copied at the same time, each over a connection of its own. More than one gains " +
          "where each answer takes long: from a replica that lags behind, or far away.",
      ),
    where: z
      .record(checked(text(), tableNameFault), text(), {
        error:
          "expected conditions by table, such as { shop.orders: \"created_at > '2025-01-01'\" }",
      })
      .default({})
      .describe(
        "Condition in SQL by table, such as `shop.orders: \"created_at > '2025-01-01'\"`: rows for which it does not " +
          "hold are not copied. Changes are not held back by it.",
      ),
    rows_per_s: integer(1, 10_000_000)
      .optional()
      .describe(
        "Existing rows that a pipeline reads in a second at most, so that the server is spared. Changes are not " +
          "held up. Default: as fast as it goes.",
      ),
    no_key: choice(["refuse", "lock"])
      .default("refuse")
      .describe(
        "What is done with a table without a primary key of whole columns. `lock`: it is locked for a moment " +
          "(`LOCK TABLES … READ`) and then read whole, while the stream waits; for small tables.",
      ),
    quiesced: flag()
      .default(false)
      .describe(
        "Nobody writes to these tables until all rows are sent: needed where the server has no GTIDs, as it " +
          "then cannot tell which changes a row holds.",
      ),
  })
  .prefault({})
  .describe("Rows that tables have before their first change is read: see docs/snapshot.md.");

export type SnapshotSettings = z.output<typeof snapshotSchema>;
