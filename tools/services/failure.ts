/** Something the person at the keyboard can act on: printed as one sentence, without a stack. */
export class ServicesError extends Error {
  override readonly name = "ServicesError";
  readonly exitCode: number;

  constructor(message: string, exitCode: number, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** Exit codes as in sysexits.h. */
export const exitCodes = { usage: 64, unavailable: 69, software: 70, temporary: 75 } as const;
