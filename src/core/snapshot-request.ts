/** What `tidemark snapshot` asks of a pipeline. It stands beside the checkpoint, until the next one takes its place. */

/** `missing`: if its rows were not sent yet. `again`: also if they were. */
export type Wanted = "missing" | "again";

export interface SnapshotRequest {
  readonly version: 1;
  readonly pipeline: string;
  /** Above that of each request before it; the checkpoint holds the number that was taken last. */
  readonly number: number;
  readonly tables: Readonly<Record<string, Wanted>>;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Undefined if it is none, or is for another pipeline: nothing is copied because of it. */
export function parseSnapshotRequest(text: string, pipeline: string): SnapshotRequest | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const isWhole =
    isRecord(value) &&
    value["version"] === 1 &&
    value["pipeline"] === pipeline &&
    Number.isSafeInteger(value["number"]) &&
    isRecord(value["tables"]) &&
    Object.values(value["tables"]).every(wanted => wanted === "missing" || wanted === "again");
  return isWhole ? (value as SnapshotRequest) : undefined;
}
