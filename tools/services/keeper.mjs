/**
 * Ends the servers of a run whose process is gone, however it went: exit, exception, Ctrl-C, SIGKILL.
 *
 *   node keeper.mjs <run id>          stdin: one folder per line; its end means "the run is over"
 *
 * The kernel closes the pipe on stdin when the run's process ends, so nothing has to be caught over
 * there. The servers are found by the run id in their environment, which only we put there: that
 * leaves no moment between starting a server and telling the keeper, and no pid to be mistaken for
 * a later process.
 *
 * It is plain JavaScript because it must not depend on a loader that might be gone by then.
 */
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const [runId] = process.argv.slice(2);
if (!runId) throw new Error("usage: keeper.mjs <run id>");
const mark = `TIDEMARK_SERVICES_RUN=${runId}`;

// The run may be ended with a signal to a whole group of processes. The keeper goes last.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => undefined);

function processesOfRun() {
  return readdirSync("/proc").filter(name => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return false;
    try {
      return readFileSync(`/proc/${name}/environ`, "latin1").split("\0").includes(mark);
    } catch {
      return false; // Ended meanwhile, or another user's: not ours either way.
    }
  });
}

async function endServers() {
  // A process that was forked but has not yet become the server carries no mark, so one empty look
  // is not enough. A process that will not die (stuck in the kernel) must not keep us for ever.
  let quietLooks = 0;
  for (let look = 0; quietLooks < 3 && look < 600; look += 1) {
    const pids = processesOfRun();
    for (const pid of pids) {
      try {
        process.kill(Number(pid), "SIGKILL");
      } catch {
        // Ended between the look and the signal.
      }
    }
    quietLooks = pids.length === 0 ? quietLooks + 1 : 0;
    await sleep(50);
  }
}

const folders = [];
for await (const line of createInterface({ input: process.stdin })) folders.push(line);
await endServers();
for (const folder of folders) {
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}
