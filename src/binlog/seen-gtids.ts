/**
 * The transactions that may be seen on a server. A commit can be seen before its GTID joins gtid_executed;
 * until then it is in gtid_owned, which is therefore asked first.
 */
import { text, type Ask } from "./statement-answers.ts";

export async function seenGtids(ask: Ask): Promise<string> {
  const [first] = await ask("SELECT @@GLOBAL.gtid_owned AS owned");
  const [second] = await ask("SELECT @@GLOBAL.gtid_executed AS executed");
  const sets = [withoutThreads(text(first, "owned")), text(second, "executed")];
  return sets
    .map(set => set.replace(/\s/g, ""))
    .filter(set => set !== "")
    .join(",");
}

/** `uuid:17#42,uuid:18#43`: each with the threads that own it. */
function withoutThreads(owned: string): string {
  return owned.replace(/#\d+/g, "");
}
