/** What `tidemark check` prints: one line a finding, and under it the statement that mends it. */
import { exitCodeOf, isError, type Finding } from "../core/finding.ts";
import { cleanText } from "../core/log-clean.ts";
import { printable } from "./printable.ts";

const GREEN = "\u001B[32m";
const YELLOW = "\u001B[33m";
const RED = "\u001B[31m";
const PLAIN = "\u001B[0m";

const LABEL_WIDTH = 7;

/** For people. */
export function findingsTable(findings: readonly Finding[], colors: boolean): string {
  const width = Math.max(0, ...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(finding => {
    const { label, color } = labelOf(finding);
    const padded = label.padEnd(LABEL_WIDTH);
    const shown = colors ? `${color}${padded}${PLAIN}` : padded;
    const line = `${shown}  ${finding.check.padEnd(width)}  ${oneLine(finding.found)}`;
    const indent = " ".repeat(LABEL_WIDTH + width + 4);
    return finding.fix === "" ? [line] : [line, `${indent}→ ${oneLine(finding.fix)}`];
  });
  return [...lines, "", summary(findings), ""].join("\n");
}

function labelOf(finding: Finding): { label: string; color: string } {
  if (finding.ok) return { label: "ok", color: GREEN };
  return isError(finding) ? { label: "error", color: RED } : { label: "warning", color: YELLOW };
}

function summary(findings: readonly Finding[]): string {
  const errors = findings.filter(isError).length;
  const warnings = findings.filter(({ ok }) => !ok).length - errors;
  if (errors === 0 && warnings === 0) return "Everything that this configuration needs is there.";
  const found = `${counted(errors, "error")}, ${counted(warnings, "warning")}.`;
  return errors === 0 ? `${found} Nothing keeps this configuration from running.` : found;
}

function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

function oneLine(text: string): string {
  return printable(cleanText(text));
}

/** For scripts. */
export function findingsJson(findings: readonly Finding[]): string {
  const list = findings.map(finding => ({
    check: finding.check,
    level: finding.level,
    ok: finding.ok,
    found: cleanText(finding.found),
    fix: cleanText(finding.fix),
    exit_code: exitCodeOf(finding),
  }));
  return `${JSON.stringify(list, undefined, 2)}\n`;
}
