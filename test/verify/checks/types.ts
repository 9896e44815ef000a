/** The checks of the area `types`, in the order in which they run. */
import type { Check } from "./check.ts";
import { matrix } from "./matrix.ts";

export const typesChecks = { matrix } as const satisfies Record<string, Check>;
