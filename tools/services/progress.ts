/** Long steps say what they do on stderr: stdout belongs to the answer. */
export function progress(text: string): void {
  process.stderr.write(`services: ${text}\n`);
}

/** Announces a step, runs it, and says how long it took. */
export async function step<T>(text: string, run: () => Promise<T>): Promise<T> {
  progress(`${text} …`);
  const startedAt = performance.now();
  const result = await run();
  progress(`${text}: done in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  return result;
}
