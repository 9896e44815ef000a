/** The checks of the area `destinations`, in the order in which they run. */
import type { Check } from "./check.ts";
import { maxwell } from "./maxwell.ts";

export const destinationsChecks = {
  maxwell,
} as const satisfies Record<string, Check>;
