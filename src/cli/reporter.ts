/**
 * Says why the process ends: one sentence with its code, in the log once there is one, and the exit code
 * of the error. What nobody foresaw is a bug, and is asked to be reported; its stack is for level debug.
 */
import { TidemarkError, toTidemarkError } from "../core/errors.ts";
import { cleanText } from "../core/log-clean.ts";
import type { Logger } from "../core/logger.ts";

export class Reporter {
  #logger: Logger | undefined;
  #stopping: AbortSignal[] = [];
  #unfinished = false;
  readonly #reported = new WeakSet<Error>();

  /** From now on the log is used. */
  useLogger(logger: Logger): void {
    this.#logger = logger;
  }

  /** Rejections that nobody waits for are no bug if they are just these signals' reasons. */
  expectAborts(...signals: AbortSignal[]): void {
    this.#stopping = signals;
  }

  warn(sentence: string): void {
    if (this.#logger === undefined) process.stderr.write(`tidemark: ${sentence}\n`);
    else this.#logger.warn({}, sentence);
  }

  /** What was begun has an end, of whatever kind: `watchProcess` tells if the process ends before it. */
  async expectEnd<T>(work: Promise<T>): Promise<T> {
    this.#unfinished = true;
    try {
      return await work;
    } finally {
      this.#unfinished = false;
    }
  }

  /**
   * Says it once, however often it is told.
   *
   * @returns the exit code
   */
  report(thrown: unknown, fields: object = {}): number {
    const error = toTidemarkError(thrown);
    if (this.#reported.has(error)) return error.exitCode;
    this.#reported.add(error);
    const sentence = error.code === "BUG" ? bugSentence(error) : error.message;
    if (error.exitCode === 0) {
      this.#logger?.info({ ...fields, code: error.code }, sentence);
    } else if (this.#logger === undefined) {
      process.stderr.write(`tidemark: [${error.code}] ${cleanText(sentence)}\n`);
    } else {
      this.#logger.error({ ...fields, code: error.code, exit_code: error.exitCode }, sentence);
      this.#logger.debug({ error }, "where it happened");
    }
    return error.exitCode;
  }

  /** What escapes every `catch` ends the process as a crash would: nothing is lost by that. */
  watchProcess(): void {
    const onEscaped = (thrown: unknown): void => {
      if (this.#stopping.some(signal => signal.aborted && signal.reason === thrown)) return;
      const message = thrown instanceof Error ? thrown.message : String(thrown);
      process.exit(this.report(new TidemarkError("BUG", message, { cause: thrown })));
    };
    process.on("uncaughtException", onEscaped);
    process.on("unhandledRejection", onEscaped);
    process.once("beforeExit", () => this.#onIdle());
    // A reader that is gone (`tidemark … | head`) is met by the stdout sink, if there is one.
    process.stdout.on("error", ignoreBrokenPipe);
    process.stderr.on("error", ignoreBrokenPipe);
  }

  /** Nothing is left that could go on, and yet something is awaited: Node would end with 13, silently. */
  #onIdle(): void {
    if (!this.#unfinished) return;
    const error = new TidemarkError("BUG", "Something is awaited that can no longer happen");
    process.exitCode = this.report(error);
  }
}

function bugSentence(error: TidemarkError): string {
  return (
    `${error.message.replace(/[.\s]*$/, "")}. This is a bug in Tidemark; nothing was skipped. ` +
    "Please report it with the log at --log-level debug."
  );
}

function ignoreBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
}
