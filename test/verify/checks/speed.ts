/** The checks of the area `speed`, in the order in which they run. */
import type { Check } from "./check.ts";
import { compare } from "./compare.ts";
import { latency } from "./latency.ts";
import { memory } from "./memory.ts";
import { pipelined } from "./pipelined.ts";
import { start } from "./start.ts";
import { wire } from "./wire.ts";
import { zombie } from "./zombie.ts";

export const speedChecks = {
  compare,
  latency,
  start,
  memory,
  pipelined,
  wire,
  zombie,
} as const satisfies Record<string, Check>;
