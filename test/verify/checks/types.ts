/** The checks of the area `types`, in the order in which they run. */
import type { Check } from "./check.ts";
import { debezium } from "./debezium.ts";
import { ddl } from "./ddl.ts";
import { hostile } from "./hostile.ts";
import { matrix } from "./matrix.ts";
import { mutations } from "./mutations.ts";
import { payload } from "./payload.ts";
import { random } from "./random.ts";
import { session } from "./session.ts";

export const typesChecks = {
  matrix,
  random,
  debezium,
  session,
  ddl,
  mutations,
  hostile,
  payload,
} as const satisfies Record<string, Check>;
