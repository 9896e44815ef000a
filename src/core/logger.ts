/**
 * The log: always to the standard error and written before the call returns, so that nothing is lost
 * when the process ends. Stages know the interface only.
 *
 * Whatever is logged is cleaned first: fields that hold secrets by their name, private keys, passwords
 * in URLs, stacks unless the level is debug, and bytes, which may be a row's.
 */
import { pino } from "pino";
import { cleanFields, cleanText } from "./log-clean.ts";
import { formatLogLine } from "./log-text.ts";

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** A logger that adds these fields to each line, such as the pipeline's name. */
  child(bindings: Readonly<Record<string, unknown>>): Logger;
}

export interface LoggerOptions {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly format: "text" | "json";
  readonly colors: boolean;
  /** Takes whole lines; the standard error by default. */
  readonly write?: (line: string) => void;
}

export function createLogger(options: LoggerOptions): Logger {
  const { level, format, colors, write = standardError() } = options;
  const destination = {
    write: (line: string) => write(format === "json" ? line : formatLogLine(line, colors)),
  };
  const root = pino(
    {
      level,
      base: null,
      messageKey: "message",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      serializers: { err: (cleaned: unknown) => cleaned },
    },
    destination,
  );
  return wrap(root, level === "debug");
}

/** Writes nothing. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};

function wrap(logger: pino.Logger, withStacks: boolean): Logger {
  const log =
    (level: "debug" | "info" | "warn" | "error") =>
    (fields: object, message: string): void => {
      if (!logger.isLevelEnabled(level)) return;
      logger[level](cleanFields(fields, withStacks), cleanText(message));
    };
  return {
    debug: log("debug"),
    info: log("info"),
    warn: log("warn"),
    error: log("error"),
    child: bindings => wrap(logger.child(cleanFields(bindings, withStacks)), withStacks),
  };
}

function standardError(): (line: string) => void {
  const destination = pino.destination({ fd: 2, sync: true });
  // Whoever read the log is gone. That is no reason to stop the stream of changes.
  destination.on("error", () => undefined);
  return line => {
    try {
      destination.write(line);
    } catch {
      // As above: synchronous writes throw some errors instead of emitting them.
    }
  };
}
