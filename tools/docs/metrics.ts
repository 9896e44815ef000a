/** docs/metrics.md: what the HTTP server answers, the causes, and the table of metrics. */
import { CAUSES } from "../../src/metrics/causes.ts";
import { METRICS } from "../../src/metrics/metrics.ts";

const INTRODUCTION = `# HTTP and metrics

<!-- Made from src/metrics by tools/generate-docs.ts. Change it there. -->

With \`http\` in the configuration (\`http: {}\` takes every default), Tidemark answers GET and HEAD on
\`127.0.0.1:8080\`. It shows names of tables and sentences of errors, never rows or passwords. There is no login: let
nobody reach the port who should not read that. The server starts before the pipelines and stops after them.

| path | answers |
|---|---|
| \`/live\` | 200 while a restart of the process would not help; 503 if the reader of a pipeline has hung: for 90 s no event, no loss, no attempt to connect, and no pause. No answer means that the process hangs. An outage of MySQL or Kafka never makes it 503 |
| \`/ready\` | 200 if every pipeline reads, delivers, and is within the bounds of \`http.ready\`; otherwise 503. \`{"ready": false, "pipelines": [{"name": "shop", "ready": false, "causes": ["…"]}]}\`, each cause one sentence |
| \`/health\` | the same in short: \`{"status": "UP", "monitor_running": true, "dispatcher_running": true, "event_queue_size": 0, "last_event_time": "2026-11-21T09:10:29Z"}\`, with 200 for UP and 503 for DOWN. The queue's size is in rows; the time is that of the newest event read, as the binlog has it, or null. \`http.health_path\` changes the path |
| \`/metrics\` | the metrics below, for Prometheus |

## When a pipeline is ready

All of these hold, each with its bound in \`http.ready\` ([configuration](configuration.md)):

- It has started, is not between two starts, was not asked to stop, and has not ended.
- MySQL is connected, and was heard within \`heartbeat_ms\`; it sends a heartbeat every 5 s. Silence does not count
  while reading is paused because the queue is full.
- Nothing at the destination or the commit log has failed again and again for 2 s or more.
- Something was delivered within \`stalled_ms\`, unless nothing waits. The commit log answers within the same time.
- The oldest entry that is not delivered was read less than \`unacknowledged_ms\` ago, and what is delivered is at
  most \`lag_ms\` old by the time in the binlog.

A change of readiness is also logged, with its cause. A destination to which nothing is sent is not asked: if Kafka
stops while MySQL is quiet, that is seen at once where the commit log is in Kafka, otherwise with the next change.

## What is waited for

Look at one metric, \`tidemark_waiting_seconds\`: its label \`cause\` says what holds a pipeline up, and \`topic\`
and \`partition\` say where. \`/ready\` has the sentence to it.

| cause | what it means |
|---|---|
`;

const TABLE = `
## All metrics

Counters rise from the start of the process, also over restarts of a pipeline; what was read before such a restart
and not released is then read, and counted, again. Values are worked out when \`/metrics\` is asked.

| metric | type | unit | labels | |
|---|---|---|---|---|
`;

const ALERTS = `
## Alerts to begin with

\`\`\`yaml
groups:
  - name: tidemark
    rules:
      - alert: TidemarkNotReady
        expr: tidemark_ready == 0
        for: 2m
      - alert: TidemarkBinlogSoonPurged
        expr: tidemark_purge_seconds < 6 * 3600
        for: 5m
      - alert: TidemarkGone
        expr: absent(tidemark_build_info)
        for: 2m
\`\`\`
`;

export function metricsPage(): string {
  const causes = Object.entries(CAUSES).map(
    ([name, meaning]) => `| ${code(name)} | ${meaning} |\n`,
  );
  const metrics = METRICS.map(({ name, type, unit, labels, help }) => {
    const listed = labels.map(code).join(", ");
    return `| ${code(name)} | ${type} | ${unit} | ${listed} | ${help} |\n`;
  });
  return [INTRODUCTION, ...causes, TABLE, ...metrics, ALERTS].join("");
}

const code = (text: string): string => `\`${text}\``;
