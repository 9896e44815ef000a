/**
 * Every way in which Tidemark can fail, and what it does about each. Decided here once, never by the
 * text of a message. An error is thrown or logged, never both: the supervisor logs it, once.
 *
 *   retry     what is down is waited for, with back-off, for ever, by the stage that met it
 *   restart   the pipeline ends and begins again from its commit log, as after a crash
 *   halt      a person is needed: the pipeline ends, and the process with `exitCode`
 *
 * Some faults stand at a place of the binlog that this person may have to pass by. What was read in front
 * of that place must not be passed by with it, so it is still delivered before the pipeline ends: up to
 * the event (`drains: "rows"`), or up to the transaction where all its rows are in doubt (`"transactions"`).
 */
export type Reaction = "retry" | "restart" | "halt";
export type Drains = "rows" | "transactions";

interface ErrorKind {
  readonly reaction: Reaction;
  readonly exitCode: number;
  readonly drains?: Drains;
}

export const errorCodes = {
  /** Tidemark itself is wrong. Nothing was skipped; please report it with the log. */
  BUG: { reaction: "halt", exitCode: 70 },
  /** The command line cannot be understood. */
  USAGE: { reaction: "halt", exitCode: 64 },
  /** The configuration is not valid; every fault is listed with its path. */
  CONFIG_INVALID: { reaction: "halt", exitCode: 78 },
  /** A setting of the MySQL server makes its binlog unusable; `tidemark check` shows the statement that mends it. */
  SOURCE_SETTING: { reaction: "halt", exitCode: 78, drains: "rows" },
  /** MySQL or Kafka refused the user, the password, or a privilege. */
  ACCESS_DENIED: { reaction: "halt", exitCode: 77 },
  /** MySQL cannot be reached, or the connection was lost. */
  SOURCE_UNAVAILABLE: { reaction: "retry", exitCode: 69 },
  /** A replica does not have yet what was delivered: it is waited for, or another of `source.hosts` is read. */
  SOURCE_BEHIND: { reaction: "retry", exitCode: 69 },
  /**
   * Another server answers than before, or the same one without the binlog that is to be read; what was read is
   * delivered, and the pipeline begins again from its commit log.
   */
  SOURCE_CHANGED: { reaction: "restart", exitCode: 65, drains: "transactions" },
  /** Another replica with the identity of this pipeline has connected to MySQL. */
  SOURCE_TAKEN_OVER: { reaction: "halt", exitCode: 75 },
  /** The server has removed binlog that was not read yet: `tidemark position set`. */
  POSITION_LOST: { reaction: "halt", exitCode: 65, drains: "transactions" },
  /** The server lacks what was delivered, or is another one on which the place is not known: `tidemark position set`. */
  POSITION_UNUSABLE: { reaction: "halt", exitCode: 65, drains: "transactions" },
  /** An event that can carry rows cannot be decoded. */
  EVENT_UNREADABLE: { reaction: "halt", exitCode: 65, drains: "rows" },
  /** The rows of a transaction may never be committed, were rolled back, or are not all there. */
  TRANSACTION_IN_DOUBT: { reaction: "halt", exitCode: 65, drains: "transactions" },
  /** A row is larger than `queue.max_row`. */
  ROW_TOO_LARGE: { reaction: "halt", exitCode: 65, drains: "rows" },
  /** The destination cannot be reached, or is not able to take messages now. */
  SINK_UNAVAILABLE: { reaction: "retry", exitCode: 69 },
  /** It is unknown which messages in flight have arrived: the destination has to be read again. */
  SINK_OUTCOME_UNKNOWN: { reaction: "restart", exitCode: 69 },
  /** The destination refuses a message for good, and no dead-letter target is configured. */
  MESSAGE_REFUSED: { reaction: "halt", exitCode: 65 },
  /** The program that read standard output has ended, as `head` does: nothing is wrong. */
  STDOUT_CLOSED: { reaction: "halt", exitCode: 0 },
  /** The destination is set up in a way that would break a promise, such as another clean-up policy. */
  SINK_SETTING: { reaction: "halt", exitCode: 78 },
  /** The destination holds messages of this pipeline without a checkpoint for them: `tidemark position set`. */
  OUTPUT_UNKNOWN: { reaction: "halt", exitCode: 65 },
  /** The commit log cannot be understood, or does not fit the destination: `tidemark position set`. */
  COMMIT_LOG_UNUSABLE: { reaction: "halt", exitCode: 65 },
  /** Another instance runs this pipeline. */
  TAKEN_OVER: { reaction: "halt", exitCode: 75 },
  /** A pipeline that was asked for something does not run, or waits for a server; it is kept for it. */
  NOT_TAKEN: { reaction: "halt", exitCode: 69 },
  /** A stop was asked for, and not everything could be delivered within `shutdown_grace_ms`. */
  DRAIN_TIMEOUT: { reaction: "halt", exitCode: 69 },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorCodes;

/** The only error that Tidemark raises on purpose. `message` is one sentence that says what to do. */
export class TidemarkError extends Error {
  override readonly name = "TidemarkError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  get reaction(): Reaction {
    return errorCodes[this.code].reaction;
  }

  get exitCode(): number {
    return errorCodes[this.code].exitCode;
  }

  get drains(): Drains | undefined {
    const kind: ErrorKind = errorCodes[this.code];
    return kind.drains;
  }
}

/** Any thrown value as one of ours. What is not ours is a bug, and keeps its cause. */
export function toTidemarkError(thrown: unknown): TidemarkError {
  if (thrown instanceof TidemarkError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return new TidemarkError("BUG", `Unexpected error: ${text}`, { cause: thrown });
}

/** What went wrong in the binlog event at this place. */
export function unreadable(file: string, position: number, thrown: unknown): TidemarkError {
  if (thrown instanceof TidemarkError) return thrown;
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new TidemarkError(
    "EVENT_UNREADABLE",
    `The event at ${file}:${position} cannot be read: ${reason}.`,
    { cause: thrown },
  );
}

/** Holds for our own mistakes only. Bad input from MySQL, Kafka or a person gets a code of its own. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new TidemarkError("BUG", message);
}
