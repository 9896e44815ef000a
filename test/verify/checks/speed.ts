/** The checks of the area `speed`, in the order in which they run. */
import type { Check } from "./check.ts";
import { latency } from "./latency.ts";

export const speedChecks = {
  latency,
} as const satisfies Record<string, Check>;
