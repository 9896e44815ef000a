/** A line of the log for people: `2026-11-21T09:10:29.601Z INFO  shop: begins  file=binlog.000003`. */

const COLORS: Readonly<Record<string, string>> = {
  debug: "\u001B[2m",
  info: "\u001B[36m",
  warn: "\u001B[33m",
  error: "\u001B[31m",
};
const PLAIN = "\u001B[0m";

/** @param line a line of the log in JSON */
export function formatLogLine(line: string, colors: boolean): string {
  const { level, time, message, pipeline, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const name = String(level);
  const label = name.toUpperCase().padEnd(5);
  const shown = colors ? `${COLORS[name] ?? ""}${label}${PLAIN}` : label;
  const subject = pipeline === undefined ? "" : `${printValue(pipeline)}: `;
  const pairs = Object.entries(fields).map(
    ([key, value]) => ` ${printValue(key)}=${printValue(value)}`,
  );
  const rest = pairs.length === 0 ? "" : ` ${pairs.join("")}`;
  return `${String(time)} ${shown} ${subject}${oneLine(String(message))}${rest}\n`;
}

function printValue(value: unknown): string {
  if (typeof value === "string" && /^[^\s"=\p{C}]+$/u.test(value)) return value;
  return oneLine(JSON.stringify(value));
}

/**
 * Names of tables and messages of servers come from outside. A line break in them must not look like a
 * line of ours, nor an escape sequence reach the terminal.
 */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, character =>
    character === "\n"
      ? "\\n"
      : `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}
