/** What happens goes to stderr; stdout belongs to the figures. */
export function progress(text: string): void {
  const seconds = (performance.now() / 1000).toFixed(1).padStart(7);
  process.stderr.write(`${seconds} ${text}\n`);
}

/** An error with its stack and what caused it. */
export function progressError(where: string, error: unknown): void {
  if (!(error instanceof Error)) {
    progress(`${where}: ${String(error)}`);
    return;
  }
  progress(`${where}: ${error.stack ?? error.message}`);
  if (error.cause !== undefined) progressError(`${where}, because of`, error.cause);
}
