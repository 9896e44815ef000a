/** The checks of the area `product`, in the order in which they run. */
import type { Check } from "./check.ts";
import { findings } from "./findings.ts";

export const productChecks = {
  check: findings,
} as const satisfies Record<string, Check>;
