/** What ends a run early, told in one sentence to the person at the keyboard. */
export class Failure extends Error {
  override readonly name = "Failure";
}

/** The person pressed Ctrl-C, or the system asked us to go. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  readonly exitCode: number;

  constructor(signal: "SIGINT" | "SIGTERM" | "SIGHUP") {
    super(`Interrupted by ${signal}.`);
    this.exitCode = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 }[signal];
  }
}

/** A failed command tells all that it printed; a person gets its name and its last words. */
export function briefly(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const lines = text.split("\n").filter(line => line.trim() !== "");
  const [first = "", ...rest] = lines;
  const last = rest.at(-1)?.trim();
  const brief = last === undefined ? first.trim() : `${first.split(" ")[0] ?? ""}: ${last}`;
  return brief.replace(/\.$/, "");
}
