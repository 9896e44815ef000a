/** What makes the messages of a pipeline, by the format in the configuration. */
import { withoutTexts } from "../columns/statement-literals.ts";
import type { FormatConfig, PipelineConfig } from "../config/config.ts";
import type { Clock } from "../core/clock.ts";
import { operationsOf } from "../core/rows.ts";
import { ColumnListFormat } from "../formats/column-list.ts";
import { DebeziumFormat } from "../formats/debezium.ts";
import type { Format } from "../formats/format.ts";
import { MaxwellFormat } from "../formats/maxwell.ts";
import { RowDataFormat } from "../formats/row-data.ts";
import { RowEventsFormat } from "../formats/row-events.ts";
import { ActivityEncoder } from "../queue/activity-encoder.ts";
import { Encoder, type Router } from "../queue/encoder.ts";
import { SchemaChangeEncoder } from "../queue/schema-change-encoder.ts";
import { makeColumnRules, makeRowRules } from "./row-rules.ts";

export interface EncoderSurroundings {
  readonly router: Router;
  readonly clock: Clock;
  /** Told of each row that the filter holds back. */
  readonly onFiltered: () => void;
  /** Of the run, which is part of the ids of merged rows. */
  readonly generation: () => number;
}

export function makeEncoder(
  pipeline: PipelineConfig,
  { router, clock, onFiltered, generation }: EncoderSurroundings,
): Encoder | ActivityEncoder {
  const { name, sink, format } = pipeline;
  const events = operationsOf(pipeline.events);
  if (format.type !== "activity") {
    const { columns, dedupe } = pipeline;
    const options = { format: makeFormat(name, format, clock), router, events };
    if (dedupe === undefined) {
      return new Encoder({ ...options, rules: makeRowRules(pipeline, onFiltered) });
    }
    // Rows were filtered before they were merged, and another run may merge them otherwise.
    const rules = makeRowRules({ columns }, onFiltered);
    return new Encoder({ ...options, rules, idMark: () => `:g${generation()}` });
  }
  // All lines have one place to go to.
  const hasLines = sink.type === "file" || sink.type === "stdout";
  const { intervalS } = format;
  return new ActivityEncoder({
    router: hasLines ? database => database : router,
    ...{ events, intervalS },
  });
}

/** Messages about statements in front of those about rows, where they are wanted. */
export function withSchemaChanges(
  { schemaTopic, columns }: PipelineConfig,
  rows: Pick<Encoder, "encode">,
): Pick<Encoder, "encode"> {
  if (schemaTopic === undefined) return rows;
  const rules = columns && makeColumnRules(columns);
  return new SchemaChangeEncoder({
    rows,
    destination: schemaTopic,
    shown: (database, table, column) => {
      const treatment = rules?.treatment(database, table, column.name) ?? "shown";
      if (treatment === "left out") return undefined;
      return treatment === "shown" ? column : { ...column, type: withoutTexts(column.type) };
    },
    hidesLiterals: rules !== undefined,
  });
}

function makeFormat(
  name: string,
  format: Exclude<FormatConfig, { type: "activity" }>,
  clock: Clock,
): Format {
  switch (format.type) {
    case "debezium":
      return new DebeziumFormat({ name, tombstones: format.tombstones, clock });
    case "maxwell":
      return new MaxwellFormat();
    case "column-list":
      return new ColumnListFormat();
    case "row-events":
      return new RowEventsFormat(clock);
    case "row-data":
      return new RowDataFormat();
  }
}
