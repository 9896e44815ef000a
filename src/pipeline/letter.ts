/**
 * A dead letter: a message that its destination refused, with the reason. Key and value are kept as text,
 * byte for byte, or in base64 where they are none: as JSON inside JSON, large numbers would not survive.
 */
import { isUtf8 } from "node:buffer";
import { TidemarkError } from "../core/errors.ts";
import type { Message } from "../sinks/sink.ts";

export interface Refusal {
  readonly pipeline: string;
  readonly error: TidemarkError;
  readonly attempts: number;
  readonly refusedAtMs: number;
}

interface Bytes {
  readonly encoding: "text" | "base64";
  readonly data: string;
}

/** The letter as it is written (docs/dead-letters.md). */
interface Letter {
  readonly id: string;
  readonly pipeline: string;
  readonly reason: { readonly code: string; readonly message: string };
  readonly attempts: number;
  readonly refused_at: string;
  readonly original: {
    readonly destination: string;
    readonly table: string;
    readonly operation: Message["operation"];
    readonly key: Bytes | null;
    readonly value: Bytes | null;
    readonly partition_key: Bytes;
    readonly keyed: boolean;
    readonly headers: { readonly transaction: string; readonly position: string };
  };
}

/** What a message is but for its place in a run. */
export type Original = Omit<Message, "seq" | "index" | "line">;

export function writeLetter(message: Message, refusal: Refusal): Buffer {
  const { pipeline, error, attempts, refusedAtMs } = refusal;
  const { id, destination, table, operation, key, value, partitionKey, keyed } = message;
  const letter: Letter = {
    id,
    pipeline,
    reason: { code: error.code, message: error.message },
    attempts,
    refused_at: new Date(refusedAtMs).toISOString(),
    original: {
      ...{ destination, table, operation },
      key: key && encode(key),
      value: value && encode(value),
      partition_key: encode(partitionKey),
      keyed,
      headers: { transaction: message.transaction, position: message.position },
    },
  };
  return Buffer.from(JSON.stringify(letter));
}

/** @throws TidemarkError OUTPUT_UNKNOWN for what is no letter. */
export function readLetter(data: Buffer): Original {
  try {
    const { id, original } = JSON.parse(data.toString()) as Letter;
    const { destination, table, operation, keyed, headers } = original;
    const key = original.key && decode(original.key);
    const value = original.value && decode(original.value);
    const partitionKey = decode(original.partition_key);
    const { transaction, position } = headers;
    if (typeof id !== "string" || typeof destination !== "string") throw new Error("no message");
    const bytes = (key?.length ?? 0) + (value?.length ?? 0);
    const rest = { key, value, partitionKey, bytes, keyed, transaction, position };
    return { id, destination, table, operation, ...rest };
  } catch (error) {
    throw new TidemarkError("OUTPUT_UNKNOWN", "Among the dead letters is something that is none.", {
      cause: error,
    });
  }
}

/** The id of a letter, or undefined for what is none. */
export function letterId(data: Buffer): string | undefined {
  try {
    return readLetter(data).id;
  } catch {
    return undefined;
  }
}

function encode(bytes: Buffer): Bytes {
  return isUtf8(bytes)
    ? { encoding: "text", data: bytes.toString() }
    : { encoding: "base64", data: bytes.toString("base64") };
}

function decode({ encoding, data }: Bytes): Buffer {
  if (typeof data !== "string") throw new Error("no bytes");
  return Buffer.from(data, encoding === "base64" ? "base64" : "utf8");
}
