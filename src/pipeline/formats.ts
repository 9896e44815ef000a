/** The format of a pipeline, made from the configuration. */
import type { PipelineConfig } from "../config/config.ts";
import type { Clock } from "../core/clock.ts";
import { ActivityFormat } from "../formats/activity.ts";
import { ColumnListFormat } from "../formats/column-list.ts";
import { DebeziumFormat } from "../formats/debezium.ts";
import type { Format } from "../formats/format.ts";
import { MaxwellFormat } from "../formats/maxwell.ts";
import { RowDataFormat } from "../formats/row-data.ts";
import { RowEventsFormat } from "../formats/row-events.ts";

export function makeFormat({ name, format }: PipelineConfig, clock: Clock): Format {
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
    case "activity":
      return new ActivityFormat();
  }
}
