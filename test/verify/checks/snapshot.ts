/** The checks of the area `snapshot`, in the order in which they run. */
import type { Check } from "./check.ts";
import { privileges } from "./privileges.ts";

export const snapshotChecks = {
  privileges,
} as const satisfies Record<string, Check>;
