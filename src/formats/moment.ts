/** Moments in whole seconds, as formats show them. */

/** `2026-11-21T09:10:29Z` */
export function isoSeconds(secondsSince1970: number): string {
  return new Date(secondsSince1970 * 1000).toISOString().replace(".000Z", "Z");
}
