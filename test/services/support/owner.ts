/**
 * A program that starts servers and then does nothing, to be killed by a test.
 *
 *   owner.ts mysql-9|kafka      prints {"pids":[…],"dir":"…"} when the server is up
 */
import { startKafka, startMysql } from "../../../tools/services/services.ts";

const [name] = process.argv.slice(2);
if (name === "kafka") {
  const { pid, dir } = await startKafka();
  process.stdout.write(`${JSON.stringify({ pids: [pid], dir })}\n`);
} else {
  const { pid, dir } = await startMysql("mysql-9");
  process.stdout.write(`${JSON.stringify({ pids: [pid], dir })}\n`);
}
setInterval(() => undefined, 60_000);
