/** The checks of src/check, wired to one pipeline or to all of them. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { MysqlServer } from "../binlog/server.ts";
import { checkPipeline, runningFinding, type Checked, type CheckOptions } from "../check/check.ts";
import type { Config, PipelineConfig } from "../config/config.ts";
import { systemClock } from "../core/clock.ts";
import type { Finding } from "../core/finding.ts";
import { silentLogger, type Logger } from "../core/logger.ts";
import { retrying } from "../core/retry.ts";
import { kafkaClient } from "./clients.ts";
import { SourceHosts } from "./hosts.ts";
import { snapshotReplica } from "./snapshot-replica.ts";
import { makeColumnRules } from "./row-rules.ts";
import { rabbitmqPlace, routerOf, sqsPlace } from "./target.ts";

type Given = "config" | "pipeline" | "index" | "server" | "logger" | "signal";

/** Before a run: waits for what is down until the signal aborts, whose reason is then thrown. */
export function checkBeforeRun(
  options: Pick<CheckOptions, Given | "waitingFor">,
): Promise<Checked> {
  return checkPipeline({ ...options, ...placesOf(options.pipeline) });
}

/** For `tidemark check`: what is down when the signal aborts is a finding like others. */
export async function checkAll(config: Config, signal: AbortSignal): Promise<readonly Finding[]> {
  const hosts = new SourceHosts({
    ...{ source: config.source, logger: silentLogger, clock: systemClock },
  });
  const { server } = hosts;
  // Where none can be reached, what is found of the first says so.
  if (hosts.areSeveral) await reachUntil(hosts, signal);
  const { others } = hosts;
  const replica = snapshotReplica(config.source, server, silentLogger);
  const lists = await Promise.all(
    config.pipelines.map(async (pipeline, index) => {
      const given = { config, pipeline, index, server, signal, logger: silentLogger };
      const checked = await checkPipeline({
        ...{ ...given, ...placesOf(pipeline), others, replica, untilAborted: true },
      });
      const running = await isRunning(server, pipeline, checked);
      return running ? [...checked.findings, runningFinding(pipeline.name)] : checked.findings;
    }),
  );
  const distinct = new Map(
    lists.flat().map(finding => [`${finding.check} ${finding.found}`, finding]),
  );
  return [...distinct.values()];
}

async function reachUntil(hosts: SourceHosts, signal: AbortSignal): Promise<void> {
  const doing = "Asking MySQL";
  const options = { clock: systemClock, logger: silentLogger, signal, doing };
  await retrying(() => hosts.reach(), options).catch(() => undefined);
}

function placesOf(
  pipeline: PipelineConfig,
): Pick<CheckOptions, "router" | "keyFault" | "kafka" | "rabbitmq" | "sqs"> {
  const { sink, name } = pipeline;
  const columns = pipeline.columns && makeColumnRules(pipeline.columns);
  return {
    keyFault: columns && ((...names) => columns.keyFault(...names)),
    router: routerOf(sink),
    kafka: sink.type === "kafka" ? kafkaClient(sink) : undefined,
    sqs: sink.type === "sqs" ? sqsPlace(sink) : undefined,
    rabbitmq: sink.type === "rabbitmq" ? rabbitmqPlace(name, sink) : undefined,
  };
}

async function isRunning(
  server: MysqlServer,
  pipeline: PipelineConfig,
  { findings, replicaUuid }: Checked,
): Promise<boolean> {
  const isReached = findings.some(({ check, ok }) => check === "mysql.connection" && ok);
  if (!isReached) return false;
  const uuid = replicaUuid ?? (await keptUuid(pipeline));
  return uuid !== undefined && server.isDumping(uuid).catch(() => false);
}

async function keptUuid({ name, commitLog }: PipelineConfig): Promise<string | undefined> {
  if (commitLog.type !== "file") return undefined;
  const text = await readFile(join(commitLog.dir, `${name}.uuid`), "utf8").catch(() => undefined);
  return text?.trim();
}

/** Logs the warnings that were not logged before; thousands of one kind take one line. */
export function logWarnings(
  findings: readonly Finding[],
  { logger, logged }: { logger: Logger; logged: Set<string> },
): void {
  const kinds = new Map<string, Finding[]>();
  for (const finding of findings) {
    if (finding.ok || finding.level !== "warning" || logged.has(finding.found)) continue;
    logged.add(finding.found);
    kinds.set(finding.check, [...(kinds.get(finding.check) ?? []), finding]);
  }
  for (const [check, [first, ...others]] of kinds) {
    if (first === undefined) continue;
    const more = others.length === 0 ? {} : { and_more: others.length };
    logger.warn({ check, ...more, ...(first.fix === "" ? {} : { fix: first.fix }) }, first.found);
  }
}
