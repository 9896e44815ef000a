/** What the command line asks for. */
export interface Options {
  readonly target: "kafka" | "file";
  readonly seed: number;
  /** Undefined: as many as the check's rule says. */
  readonly kills: number | undefined;
  readonly mysql: "mysql-8" | "mysql-9";
  /** A tenth of the kills, rounds and cases, and shorter stalls. */
  readonly quick: boolean;
}

/** `full` kills or rounds, or a tenth, but at least `min`. */
export function rounds(options: Options, full: number, min = 2): number {
  return options.quick ? Math.max(min, Math.round(full / 10)) : full;
}

/** Stalls are shortened less than rounds: too short a stall shows nothing. */
export function stallMs(options: Options, fullMs: number): number {
  return options.quick ? fullMs / 3 : fullMs;
}
