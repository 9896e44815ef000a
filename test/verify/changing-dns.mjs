/**
 * Loaded into the program under test (`--import`): the name `changing.test` leads to this machine, then, for
 * a few lookups, to where clouds keep credentials, and then to this machine again.
 */
import dns from "node:dns";
import { syncBuiltinESMExports } from "node:module";

const FIRST_WRONG = 2;
const LAST_WRONG = 4;
const { lookup } = dns;
let lookups = 0;

dns.lookup = (hostname, options, callback) => {
  if (hostname !== "changing.test") return lookup(hostname, options, callback);
  lookups += 1;
  const isWrong = lookups >= FIRST_WRONG && lookups <= LAST_WRONG;
  const address = isWrong ? "169.254.169.254" : "127.0.0.1";
  process.nextTick(callback, null, [{ address, family: 4 }]);
  return {};
};
syncBuiltinESMExports();
