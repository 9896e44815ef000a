/**
 * Reads a server's binlog to count what changes, and delivers nothing: no position is kept. As a replica it
 * has a uuid of its own, so that a pipeline which runs does not notice.
 */
import { randomUUID } from "node:crypto";
import type { Config } from "../config/config.ts";
import { compileDatabaseFilter, compileTableFilter } from "../config/table-pattern.ts";
import { systemClock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Vitals } from "../core/vitals.ts";
import { SourceHosts } from "./hosts.ts";
import { makeSource } from "./source.ts";
import { startFresh } from "./start.ts";

export interface CountOptions {
  readonly config: Config;
  readonly serverId: number;
  /** Where it is counted. */
  readonly vitals: Vitals;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Ends when the signal aborts. A server that goes away later is waited for; one that is not there is not. */
export async function countChanges(options: CountOptions): Promise<void> {
  const { config, serverId, vitals, logger, signal } = options;
  const patterns = config.pipelines.flatMap(({ tables }) => tables);
  const wants = compileTableFilter(patterns);
  const hosts = new SourceHosts({ source: config.source, clock: systemClock, logger });
  const { server, connection } = hosts;
  try {
    if (hosts.areSeveral) await hosts.reach();
    await server.preflight();
    const source = makeSource({
      ...{ config, server, connection, wants, serverId, logger, clock: systemClock },
      wantsDatabase: compileDatabaseFilter(patterns),
      lowerCaseNames: (await server.inspect()).lowerCaseNames,
      identify: async () => (await server.inspect()).serverUuid,
      start: await startFresh(server, config.source.start),
      replicaUuid: randomUUID(),
    });
    vitals.enter("running");
    for await (const entries of source.entries(signal)) {
      for (const entry of entries) vitals.countRead(entry);
    }
  } finally {
    hosts.close();
  }
}
