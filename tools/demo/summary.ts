/** The verdict in words. */
import type { Result } from "./demo.ts";

export function holds(result: Result): boolean {
  return failures(result).length === 0;
}

/** What the run shows to be wrong, each as a sentence. */
export function failures(result: Result): readonly string[] {
  const found: string[] = [];
  const { lost, duplicated, out_of_order, phantom, rows_different } = result;
  if (lost > 0) found.push(`${lost} messages are missing.`);
  if (duplicated > 0) found.push(`${duplicated} messages came twice.`);
  if (out_of_order > 0) found.push(`${out_of_order} messages came after a newer one of their key.`);
  if (phantom > 0) found.push(`${phantom} messages tell of changes that were never committed.`);
  if (rows_different > 0) found.push(`${rows_different} rows differ between tables and messages.`);
  if (result.kills_in_flight === 0) found.push("No kill hit while something was in flight.");
  return found;
}

export function summary(result: Result): readonly string[] {
  const place = result.target === "kafka" ? "topics" : "file";
  const count = (value: number): string => value.toLocaleString("en-US");
  const wrong = failures(result);
  return [
    `  ${count(result.written)} row changes written in MySQL, ${count(result.delivered)} delivered ` +
      `(${count(result.rows_per_s)}/s)`,
    `  killed with kill -9 ${result.kills === 1 ? "once" : `${result.kills} times`}, with ` +
      `${count(result.in_flight_at_kill)} row changes in flight`,
    `  lost ${result.lost}, duplicated ${result.duplicated}, out of order ${result.out_of_order}`,
    `  ${count(result.rows_compared)} rows compared with what the ${place} say, ` +
      (result.rows_different === 0 ? "all equal" : `${count(result.rows_different)} different`),
    "",
    ...(wrong.length === 0
      ? ["  Every row change arrived, once and in order."]
      : [...wrong.map(text => `  ✗ ${text}`), ...result.examples.map(text => `      ${text}`)]),
  ];
}
