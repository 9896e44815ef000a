/** Stands for messages kept on disk; see below. */
import type { Message } from "./sink.ts";

export interface Park {
  /** Messages of the lane on disk. */
  count(lane: string): number;
  /** Resolves when they are durable, behind what the lane has there. */
  append(lane: string, messages: readonly Message[]): Promise<void>;
  first(lane: string): Promise<Message>;
  /** The lane's first message is taken. */
  shift(lane: string): void;
  lanes(): Iterable<string>;
  close(): Promise<void>;
}
