/** The checks of the area `snapshot`, in the order in which they run. */
import type { Check } from "./check.ts";
import { privileges } from "./privileges.ts";
import { xa } from "./xa.ts";

export const snapshotChecks = {
  xa,
  privileges,
} as const satisfies Record<string, Check>;
