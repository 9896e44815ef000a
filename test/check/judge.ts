/** Whether `check`, and `run` at its start, say of a case what they have to, and whether that mends it. */
import type { Case, Expected } from "./cases.ts";
import { Scene, type Stage } from "./scene.ts";
import type { Found } from "./support.ts";

/** @returns what is not as it has to be; nothing, if all is. */
export async function judge(stage: Stage, wrong: Case): Promise<readonly string[]> {
  const scene = await Scene.open(stage);
  try {
    await wrong.arrange(scene);
    const expected = wrong.expected(scene);
    const isError = expected.level === "error";
    return [
      ...(await checkFaults(scene, wrong, expected)),
      ...(isError ? await runFaults(scene, wrong, expected) : []),
      ...(wrong.stays === true ? [] : await mendFaults(scene, wrong, expected)),
    ];
  } finally {
    await scene.close();
  }
}

/** What is away is waited for as long as the case says; and the program has to start. */
const CHECK_MAX_MS = 9_000;

async function checkFaults(scene: Scene, { args }: Case, expected: Expected): Promise<string[]> {
  const startedMs = performance.now();
  const { status, bad } = await scene.check(args);
  const tookMs = performance.now() - startedMs;
  const found = bad.find(finding => isExpected(finding, expected));
  const others = bad.filter(({ level, check }) => level === "error" && check !== expected.check);
  return [
    ...(status === expected.exitCode ? [] : [`check ended with ${status}`]),
    ...(found === undefined ? [`check did not find it, but ${print(bad)}`] : []),
    ...(tookMs > CHECK_MAX_MS ? [`check took ${Math.round(tookMs)} ms`] : []),
    ...(others.length === 0 ? [] : [`check found other errors: ${print(others)}`]),
  ];
}

function isExpected(finding: Found, expected: Expected): boolean {
  const { check, level, exitCode, found, fix } = expected;
  const isAlike =
    finding.check === check && finding.level === level && finding.exit_code === exitCode;
  return isAlike && found.test(finding.found) && fix.test(finding.fix);
}

async function runFaults(scene: Scene, { args }: Case, expected: Expected): Promise<string[]> {
  const { status, stderr } = await scene.run(args);
  const said = messagesOf(stderr);
  // Of what is away a run says what it waits for, and then that the time is over.
  const isSaid = expected.exitCode === 69 ? AWAY.test(said) : startless(expected.found).test(said);
  return [
    ...(status === expected.exitCode ? [] : [`run ended with ${status}`]),
    ...(isSaid ? [] : [`run did not say it, but: ${said}`]),
    ...(STACK.test(stderr) ? ["run printed a stack"] : []),
  ];
}

const AWAY = /not reached|could not be reached|cannot be reached/;
const STACK = /\n\s+at .*:\d+:\d+/;

/** A run names all faults in one message. */
function startless({ source }: RegExp): RegExp {
  return new RegExp(source.replace(/^\^/, ""));
}

async function mendFaults(scene: Scene, wrong: Case, expected: Expected): Promise<string[]> {
  const { check, level } = expected;
  wrong.mend?.(scene);
  const { status, bad } = await scene.mend(level === "warning" ? check : undefined);
  const left = bad.filter(finding => finding.level === "error" || finding.check === check);
  return [
    ...(status === 0 ? [] : [`check ended with ${status} after the statements were run`]),
    ...(left.some(finding => finding.level === "error" || level === "warning")
      ? [`left after the statements were run: ${print(left)}`]
      : []),
  ];
}

function print(findings: readonly Found[]): string {
  return findings.map(({ check, found, fix }) => `${check}: ${found} → ${fix}`).join(" | ");
}

/** The log as sentences, without JSON's escapes. */
function messagesOf(stderr: string): string {
  return stderr
    .split("\n")
    .map(line => {
      try {
        return (JSON.parse(line) as { message?: string }).message ?? "";
      } catch {
        return line;
      }
    })
    .join("\n");
}
