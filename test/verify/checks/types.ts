/** The checks of the area `types`, in the order in which they run. */
import type { Check } from "./check.ts";
import { ddl } from "./ddl.ts";
import { hostile } from "./hostile.ts";
import { matrix } from "./matrix.ts";
import { mutations } from "./mutations.ts";

export const typesChecks = {
  matrix,
  ddl,
  mutations,
  hostile,
} as const satisfies Record<string, Check>;
