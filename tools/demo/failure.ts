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
