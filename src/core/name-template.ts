/** Names made from a template, such as `{database}.{table}`. */

export interface TableName {
  readonly database: string;
  readonly table: string;
}

/** @param show makes of each part what may stand in such a name. */
export function fillTemplate(
  template: string,
  table: TableName,
  show: (part: string) => string = part => part,
): string {
  return template.replace(/\{(database|table)\}/g, (_, part: keyof TableName) => show(table[part]));
}

/** What a name cannot have becomes `_u` and four hexadecimal digits for each UTF-16 unit. */
export function escapeUnits(text: string, refused: RegExp): string {
  return text.replace(
    refused,
    unit => `_u${unit.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`,
  );
}
