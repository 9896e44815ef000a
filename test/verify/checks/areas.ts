/** The areas, in the order in which `all` runs them. */
import type { Check } from "./check.ts";
import { coreChecks } from "./core.ts";
import { destinationsChecks } from "./destinations.ts";
import { productChecks } from "./product.ts";
import { snapshotChecks } from "./snapshot.ts";
import { speedChecks } from "./speed.ts";
import { typesChecks } from "./types.ts";

export const areas = {
  core: coreChecks,
  product: productChecks,
  types: typesChecks,
  destinations: destinationsChecks,
  snapshot: snapshotChecks,
  speed: speedChecks,
} as const satisfies Record<string, Readonly<Record<string, Check>>>;

export type AreaName = keyof typeof areas;

export const areaNames = Object.keys(areas) as AreaName[];
