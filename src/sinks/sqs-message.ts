/** A message as SQS takes it: body, attributes, group, deduplication id, and the bytes that count. */
import { createHash } from "node:crypto";
import { partsOf } from "../core/rows.ts";
import type { SqsEntry } from "./sqs-client.ts";
import type { Message } from "./sink.ts";

export type Grouping = "key" | "table" | "schema";

/** SQS takes printable ASCII, without spaces, for ids of groups and deduplication. */
const PLAIN = /^[!-~]{1,128}$/;
/** JSON may hold these two as they are, SQS may not. */
const FORBIDDEN = /[\uFFFE\uFFFF]/g;

/** What is sent one after the other: the rows of a key, a table or a schema. */
export function groupOf({ table, keyed, partitionKey }: Message, grouping: Grouping): string {
  if (grouping === "schema") return plain(partsOf(table)[0]);
  if (grouping === "table" || !keyed) return plain(table);
  return plain(`${table}:${partitionKey.toString()}`);
}

/** @param renewal other ids for the same messages: see sqs-window.ts. */
export function deduplicationOf({ id }: Message, renewal: number): string {
  return plain(`${id};${renewal.toString(36)}`);
}

export function entryOf(
  message: Message,
  {
    pipeline,
    group,
    deduplication,
  }: {
    readonly pipeline: string;
    readonly group: string | undefined;
    readonly deduplication: string | undefined;
  },
): SqsEntry {
  const { id, transaction, position, key, value } = message;
  const attributes = {
    ...{ id, pipeline, transaction, position },
    ...(key === null ? {} : { key: textOf(key) }),
  };
  return { body: value === null ? "" : textOf(value), attributes, group, deduplication };
}

/** As SQS counts: the body, and the name, type and value of each attribute. */
export function sizeOf({ body, attributes }: SqsEntry): number {
  let bytes = Buffer.byteLength(body);
  for (const [name, value] of Object.entries(attributes)) {
    bytes += name.length + "String".length + Buffer.byteLength(value);
  }
  return bytes;
}

function textOf(json: Buffer): string {
  return json.toString().replace(FORBIDDEN, unit => `\\u${unit.charCodeAt(0).toString(16)}`);
}

function plain(id: string): string {
  return PLAIN.test(id) ? id : createHash("sha256").update(id).digest("hex");
}
