/** A place in the binlog as a person writes it: `latest`, `earliest`, `FILE:POSITION` or a GTID set. */
import { TidemarkError } from "../core/errors.ts";
import { GtidSet } from "../core/gtid-set.ts";
import type { StartConfig } from "./config.ts";

const FIRST_POSITION = 4;
const FILE_POSITION = /^([^\s/:,]+\.\d+):(\d+)$/;

/** @throws TidemarkError USAGE */
export function parsePlace(text: string): StartConfig {
  if (text === "latest" || text === "earliest") return { kind: text };
  const [, file, digits] = FILE_POSITION.exec(text) ?? [];
  if (file !== undefined) {
    const position = Number(digits);
    if (position >= FIRST_POSITION && Number.isSafeInteger(position)) {
      return { kind: "position", file, position };
    }
    throw new TidemarkError(
      "USAGE",
      `A binlog file begins with offset ${FIRST_POSITION}, not ${digits ?? ""}.`,
    );
  }
  const gtidSet = text.replaceAll(/\s/g, "");
  if (gtidSet !== "" && isGtidSet(gtidSet)) return { kind: "gtid-set", gtidSet };
  throw new TidemarkError(
    "USAGE",
    "A place is latest, earliest, FILE:POSITION such as binlog.000003:4711, or a GTID set.",
  );
}

function isGtidSet(text: string): boolean {
  try {
    return !GtidSet.parse(text).isEmpty();
  } catch {
    return false;
  }
}
