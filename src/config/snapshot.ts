/** `source.snapshot`: the rows that tables have before their first change is read. */
import { z } from "zod";
import { checked, choice, flag, integer, text } from "./scalars.ts";
import { tablePatternFault } from "./table-pattern.ts";

/** The last two are what an environment variable such as INITIAL_SNAPSHOT holds. */
const modeSchema = z.preprocess(
  value => (typeof value === "boolean" ? String(value) : value),
  choice(["initial", "always", "never", "true", "false"]),
);

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
    host: z
      .string({ error: "expected text" })
      .default("")
      .describe(
        "Where the rows are read. In this release that is the server whose changes are read: empty, or the same " +
          "as `source.host`.",
      ),
    tables: z
      .array(checked(text(), tablePatternFault), { error: 'expected a list such as ["shop.*"]' })
      .default(["*.*"])
      .describe("Which of the captured tables, by patterns like those of a pipeline."),
    batch_rows: batchRowsSchema,
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
