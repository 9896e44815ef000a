/** The checks of the area `product`, in the order in which they run. */
import type { Check } from "./check.ts";

export const productChecks = {} as const satisfies Record<string, Check>;
