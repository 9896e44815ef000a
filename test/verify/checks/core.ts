/** The checks of the area `core`, in the order in which they run. */
import { broker } from "./broker.ts";
import type { Check } from "./check.ts";
import { compacted } from "./compacted.ts";
import { dump } from "./dump.ts";
import { giant } from "./giant.ts";
import { mutants } from "./mutants.ts";
import { refused } from "./refused.ts";
import { sigkillFirst } from "./sigkill-first.ts";
import { sigkill } from "./sigkill.ts";
import { sigterm } from "./sigterm.ts";

export const coreChecks = {
  sigkill,
  "sigkill-first": sigkillFirst,
  sigterm,
  mutants,
  refused,
  dump,
  broker,
  compacted,
  giant,
} as const satisfies Record<string, Check>;
