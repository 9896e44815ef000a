/** MySQL's dates and times as text, straight from their packed numbers: no Date, so zero dates survive. */

const TWO_DIGITS: readonly string[] = Array.from({ length: 100 }, (_, n) =>
  String(n).padStart(2, "0"),
);

function two(value: number): string {
  return TWO_DIGITS[value] ?? String(value);
}

export function dateText(year: number, month: number, day: number): string {
  return `${String(year).padStart(4, "0")}-${two(month)}-${two(day)}`;
}

export function timeText(hour: number, minute: number, second: number): string {
  return `${two(hour)}:${two(minute)}:${two(second)}`;
}

/**
 * @param fraction as stored: hundredths, ten-thousandths or millionths, by the bytes that `scale` takes.
 * @param scale how many digits the column has.
 */
export function fractionText(fraction: number, scale: number): string {
  if (scale === 0) return "";
  const storedDigits = scale + (scale % 2);
  return `.${String(fraction).padStart(storedDigits, "0").slice(0, scale)}`;
}

/** Year, month and day in one number, as DATETIME and JSON hold them: (year * 13 + month) * 32 + day. */
export function packedDateText(packed: number): string {
  const yearMonth = Math.floor(packed / 32);
  return dateText(Math.floor(yearMonth / 13), yearMonth % 13, packed % 32);
}

/** Hour, minute and second in one number, six bits for each of the last two. */
export function packedTimeText(packed: number): string {
  return timeText(Math.floor(packed / 4096), (packed >> 6) & 63, packed & 63);
}

let cachedDay = -1;
let cachedDayText = "";

/** Seconds since 1970 as `YYYY-MM-DD HH:MM:SS` in UTC. Rows of one transaction mostly share the day. */
export function utcText(seconds: number): string {
  const day = Math.floor(seconds / 86_400);
  if (day !== cachedDay) {
    cachedDay = day;
    cachedDayText = civilDateText(day);
  }
  const rest = seconds - day * 86_400;
  const minutes = Math.floor(rest / 60);
  return `${cachedDayText} ${timeText(Math.floor(minutes / 60), minutes % 60, rest % 60)}`;
}

/** Days since 1970-01-01 as a date; the arithmetic counts years from March, so leap days come last. */
function civilDateText(day: number): string {
  const shifted = day + 719_468; // Days since 0000-03-01.
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return dateText(year, month, dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1);
}
