/** The rules for rows and columns of a pipeline, made from the configuration. */
import { ColumnRules } from "../columns/column-rules.ts";
import { RowFilter } from "../columns/row-filter.ts";
import { RowRules } from "../columns/row-rules.ts";
import { compileColumnFilter } from "../config/column-pattern.ts";
import type { ColumnsConfig, PipelineConfig } from "../config/config.ts";
import { compileTableFilter } from "../config/table-pattern.ts";

/** Undefined where there are none, so that they cost nothing. */
export function makeRowRules(
  { columns, filter }: Pick<PipelineConfig, "columns" | "filter">,
  onFiltered: () => void,
): RowRules | undefined {
  if (columns === undefined && filter === undefined) return undefined;
  const rules = filter?.map(({ table, where }) => ({ wants: compileTableFilter([table]), where }));
  return new RowRules({
    columns: columns && makeColumnRules(columns),
    filter: rules && new RowFilter(rules),
    onFiltered,
  });
}

export function makeColumnRules(columns: ColumnsConfig): ColumnRules {
  const truncate = columns.truncate.map(({ column, length }) => ({
    matches: compileColumnFilter([column]),
    length,
  }));
  return new ColumnRules({
    excludes: compileColumnFilter(columns.exclude),
    masks: compileColumnFilter(columns.mask),
    hashes: compileColumnFilter(columns.hash),
    hashKey: columns.hashKey,
    lengthOf: (...names) => truncate.find(({ matches }) => matches(...names))?.length,
  });
}
