/**
 * What a check found: `tidemark check` lists them, and a start is refused by those that are errors. The
 * rules stand where their facts come from; each is written once, and used by both.
 */
import { errorCodes, TidemarkError, type ErrorCode } from "./errors.ts";

export interface Finding {
  /** What was looked at, such as `mysql.binlog_format`; the same in every release. */
  readonly check: string;
  /** A warning never stops a start. */
  readonly level: "error" | "warning";
  readonly ok: boolean;
  /** One sentence. */
  readonly found: string;
  /** The statement that mends it; "" where nothing has to be mended. */
  readonly fix: string;
  /** What a run would end with. */
  readonly code: ErrorCode;
}

export function good(check: string, found: string): Finding {
  return { check, level: "error", ok: true, found, fix: "", code: "BUG" };
}

export function warning(check: string, found: string, fix: string): Finding {
  return { check, level: "warning", ok: false, found, fix, code: "BUG" };
}

export function fault(code: ErrorCode, check: string, found: string, fix: string): Finding {
  return { check, level: "error", ok: false, found, fix, code };
}

export function isError(finding: Finding): boolean {
  return !finding.ok && finding.level === "error";
}

/** 0 for what is in order, and for warnings. */
export function exitCodeOf(finding: Finding): number {
  return isError(finding) ? errorCodes[finding.code].exitCode : 0;
}

export function highestExitCode(findings: readonly Finding[]): number {
  return Math.max(0, ...findings.map(exitCodeOf));
}

/** Everything that stops a start, in one error with the highest exit code; undefined if nothing does. */
export function errorOf(findings: readonly Finding[]): TidemarkError | undefined {
  const errors = findings.filter(isError);
  const [first] = errors;
  if (first === undefined) return undefined;
  const highest = highestExitCode(errors);
  const worst = errors.find(finding => exitCodeOf(finding) === highest) ?? first;
  const list = errors.map(({ found, fix }) =>
    fix === "" ? found : `${found} Mend it with: ${fix}`,
  );
  return new TidemarkError(worst.code, list.join("; "));
}
