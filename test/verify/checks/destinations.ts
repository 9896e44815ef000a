/** The checks of the area `destinations`, in the order in which they run. */
import type { Check } from "./check.ts";
import { contract } from "./contract.ts";
import { examples } from "./examples.ts";
import { dedupe } from "./dedupe.ts";
import { hostileEndpoints } from "./hostile-endpoints.ts";
import { isolation } from "./isolation.ts";
import { maxwell } from "./maxwell.ts";
import { outage } from "./outage.ts";
import { poison } from "./poison.ts";
import { rates } from "./rates.ts";
import { sigkillRabbitmq } from "./rabbitmq.ts";
import { seed0 } from "./seed-0.ts";
import { seed1 } from "./seed-1.ts";
import { seed3 } from "./seed-3.ts";
import { seed4 } from "./seed-4.ts";
import { sigkillSqs } from "./sqs.ts";
import { sigkillWebhook } from "./webhooks.ts";

export const destinationsChecks = {
  contract,
  "sigkill-sqs": sigkillSqs,
  "sigkill-rabbitmq": sigkillRabbitmq,
  "sigkill-webhook": sigkillWebhook,
  outage,
  poison,
  isolation,
  "hostile-endpoints": hostileEndpoints,
  rates,
  maxwell,
  "seed-0": seed0,
  dedupe,
  "seed-1": seed1,
  "seed-3": seed3,
  "seed-4": seed4,
  examples,
} as const satisfies Record<string, Check>;
