/**
 * Loaded into the program under test (`--import`): writes down, when it ends, what still kept the event
 * loop from ending, and whether it ended because nothing did. `process.exit` skips `beforeExit`.
 */
import { appendFileSync } from "node:fs";

let byItself = false;
process.once("beforeExit", () => (byItself = true));
process.once("exit", code => {
  const left = process.getActiveResourcesInfo();
  appendFileSync("ends.jsonl", `${JSON.stringify({ code, byItself, left })}\n`);
});
