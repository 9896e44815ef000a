/** What happens goes to stderr; stdout belongs to the figures. */
export function progress(text: string): void {
  const seconds = (performance.now() / 1000).toFixed(1).padStart(7);
  process.stderr.write(`${seconds} ${text}\n`);
}
