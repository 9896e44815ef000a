/** The checks of the area `product`, in the order in which they run. */
import type { Check } from "./check.ts";
import { config } from "./config.ts";
import { findings } from "./findings.ts";
import { health } from "./health.ts";
import { newcomer } from "./newcomer.ts";
import { pipelines } from "./pipelines.ts";
import { shutdown } from "./shutdown.ts";

export const productChecks = {
  check: findings,
  config,
  health,
  pipelines,
  shutdown,
  newcomer,
} as const satisfies Record<string, Check>;
