/** The checks of the area `speed`, in the order in which they run. */
import type { Check } from "./check.ts";

export const speedChecks = {} as const satisfies Record<string, Check>;
