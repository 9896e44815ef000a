/** `{schema, timestamp}`: that something changed in a schema, and when. */
import { isoSeconds } from "./moment.ts";

export function activityKey(schema: string): Buffer {
  return Buffer.from(JSON.stringify({ schema }));
}

export function activityValue(schema: string, seconds: number): Buffer {
  return Buffer.from(JSON.stringify({ schema, timestamp: isoSeconds(seconds) }));
}
