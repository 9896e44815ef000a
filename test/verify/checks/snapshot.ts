/** The checks of the area `snapshot`, in the order in which they run. */
import type { Check } from "./check.ts";
import { elsewhere } from "./elsewhere.ts";
import { failover } from "./failover.ts";
import { handover } from "./handover.ts";
import { privileges } from "./privileges.ts";
import { purge } from "./purge.ts";
import { schema } from "./schema.ts";
import { snapshotSpeed } from "./snapshot-speed.ts";
import { snapshotValues } from "./snapshot-values.ts";
import { seed2 } from "./seed-2.ts";
import { xa } from "./xa.ts";

export const snapshotChecks = {
  values: snapshotValues,
  schema,
  handover,
  elsewhere,
  speed: snapshotSpeed,
  xa,
  failover,
  purge,
  privileges,
  "seed-2": seed2,
} as const satisfies Record<string, Check>;
