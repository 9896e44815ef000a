/** Days and microseconds since 1970-01-01. */
import type { JsonWriter } from "./json-writer.ts";

export const SECONDS_PER_DAY = 86_400;
export const MICROS_PER_SECOND = 1_000_000;
export const POWERS_OF_TEN = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];

const MINUS = 0x2d;
const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const DAYS_OF_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const DAYS_BEFORE_1970 = 719_162; // From 0001-01-01, counted in the Gregorian calendar throughout.
const NO_DATE = Number.NaN;

/**
 * NaN for what is no date: MySQL also stores 0000-00-00, 2026-00-00 and, with ALLOW_INVALID_DATES,
 * 2026-02-31.
 */
export function epochDayOf(year: number, month: number, day: number): number {
  if (year === 0 || month === 0 || month > 12 || day === 0) return NO_DATE;
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const longest = month === 2 && isLeap ? 29 : (DAYS_OF_MONTH[month - 1] as number);
  if (day > longest) return NO_DATE;
  const before = year - 1;
  const leapDays = ((before / 4) | 0) - ((before / 100) | 0) + ((before / 400) | 0);
  const inYear = (DAYS_BEFORE_MONTH[month - 1] as number) + (month > 2 && isLeap ? 1 : 0) + day - 1;
  return before * 365 + leapDays + inYear - DAYS_BEFORE_1970;
}

/** Microseconds since 1970, in two parts: from the year 2255 on they exceed what a double holds. */
export function writeMicros(json: JsonWriter, wholeSeconds: number, fraction: number): void {
  let seconds = wholeSeconds;
  let micros = fraction;
  if (seconds < 0) {
    // -1.5 s is second -2 and 500,000 µs: written as a minus and 1,500,000.
    seconds = -seconds;
    if (micros > 0) {
      seconds -= 1;
      micros = MICROS_PER_SECOND - micros;
    }
    json.byte(MINUS);
  }
  if (seconds === 0) {
    json.integer(micros);
  } else {
    json.integer(seconds);
    json.padded(micros, 6);
  }
}
