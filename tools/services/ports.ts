/**
 * Free ports for servers that keep their port over restarts.
 *
 * They lie below the kernel's range for outgoing connections (32768 and up on Linux): while a server
 * is down, no connection of another program can take its port by chance. Between our look and the
 * server's bind somebody may still be quicker, so the callers try again with other ports.
 */
import { createServer } from "node:net";
import { randomInt } from "node:crypto";

export const host = "127.0.0.1";

const portMin = 20_000;
const portMax = 32_000;
const triesMax = 200;
const taken = new Set<number>();

/** A port that nobody listens on and that this process has not handed out before. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < triesMax; tries += 1) {
    const port = randomInt(portMin, portMax);
    if (taken.has(port)) continue;
    taken.add(port);
    if (await canBind(port)) return port;
  }
  throw new Error(`no free port found between ${portMin} and ${portMax}`);
}

function canBind(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}
