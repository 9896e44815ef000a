/** Milliseconds by a clock that all processes of the machine share and that is never set. */
export function nowMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}
