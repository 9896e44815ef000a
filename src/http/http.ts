/** The HTTP server with what it shows: opened before the pipelines, closed after them. */
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Vitals } from "../core/vitals.ts";
import type { Bounds } from "../metrics/causes.ts";
import { Watch } from "../metrics/watch.ts";
import { HttpServer } from "./server.ts";

export interface HttpOptions {
  readonly host: string;
  readonly port: number;
  readonly healthPath: string;
  readonly bounds: Bounds;
  readonly vitals: readonly Vitals[];
  readonly memoryBytes: number;
  readonly version: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** @throws TidemarkError CONFIG_INVALID if the address cannot be listened on. */
export async function openHttp(
  options: HttpOptions,
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const { version, memoryBytes } = options;
  const watch = new Watch(options);
  const startedAtS = options.clock.wallMs() / 1000 - process.uptime();
  const server = new HttpServer({
    ...options,
    sight: () => {
      const { user, system } = process.cpuUsage();
      return {
        pipelines: watch.look(),
        process: {
          version,
          startedAtS,
          cpuSeconds: (user + system) / 1e6,
          residentBytes: process.memoryUsage.rss(),
          loopLateMs: watch.loopLateMs,
          memoryBytes,
        },
      };
    },
  });
  await server.open();
  watch.start();
  return {
    url: server.url,
    async close() {
      watch.stop();
      await server.close();
    },
  };
}
