/** The only reader of environment variables. */

export type Environment = Readonly<Record<string, string | undefined>>;

export function readEnvironment(): Environment {
  return process.env;
}

/** True unless colours are turned off (no-color.org), or the terminal has none. */
export function wantsColors(environment: Environment): boolean {
  const noColor = environment["NO_COLOR"];
  return (noColor === undefined || noColor === "") && environment["TERM"] !== "dumb";
}
