/** MariaDB tells one GTID a domain: that one and everything before it in its domain is done. */
import { TidemarkError } from "../core/errors.ts";
import { GtidSet } from "../core/gtid-set.ts";
import { text, type Ask } from "./statement-answers.ts";

const FIRST_EVENT = 4;

/** What is done in front of this place of the binlog. */
export async function mariadbSetAt(ask: Ask, file: string, position: number): Promise<string> {
  // The function takes no quoted number.
  const sql = `SELECT BINLOG_GTID_POS(?, ${Math.trunc(position)}) AS done`;
  const [row] = await ask(sql, [file]);
  if (typeof row?.["done"] !== "string") {
    // NULL: the file was removed in the meantime, or no event ends there.
    const message = `MariaDB does not tell what stands in front of ${file}:${position}.`;
    throw new TidemarkError("SOURCE_UNAVAILABLE", message);
  }
  return sorted(row["done"]);
}

/** What was done before the file began. */
export function mariadbSetBefore(ask: Ask, file: string): Promise<string> {
  return mariadbSetAt(ask, file, FIRST_EVENT);
}

/** What the server has in its binlog, and what of it is no longer there. */
export async function mariadbGtids(
  ask: Ask,
  oldestFile: string,
): Promise<{ readonly executed: string; readonly purged: string }> {
  const [row] = await ask("SELECT @@GLOBAL.gtid_binlog_pos AS executed");
  const purged = await mariadbSetBefore(ask, oldestFile);
  return { executed: sorted(text(row, "executed")), purged };
}

/** The server names the domains in any order. */
function sorted(set: string): string {
  return GtidSet.parse(set).toString();
}

/** The domains in which `taken` is not as far as `set`. */
export function subtractMariadb(set: string, taken: string): string {
  const done = GtidSet.parse(taken);
  return set
    .split(",")
    .filter(gtid => !done.contains(gtid.trim()))
    .join();
}
