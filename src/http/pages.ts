/** What each path answers. Only states, counts, names of tables and sentences: no rows, no secrets. */
import type { MetricsPage, ProcessView } from "../metrics/metrics.ts";
import type { PipelineView } from "../metrics/watch.ts";

export interface Page {
  readonly status: 200 | 503;
  readonly type: string;
  readonly body: string;
}

/** All that the pages are made from, at the moment of the request. */
export interface Sight {
  readonly pipelines: readonly PipelineView[];
  readonly process: ProcessView;
}

/**
 * The reader may take a minute to be told where its position is, and a connection that is silent is given
 * up after fifteen seconds: longer than this it has hung, and only a restart helps.
 */
const READER_STILL_MS = 90_000;

function json(status: Page["status"], value: object): Page {
  return { status, type: "application/json; charset=utf-8", body: `${JSON.stringify(value)}\n` };
}

/** 503 only where a restart of the process would help. That it is answered shows that the event loop turns. */
export function livePage({ pipelines }: Sight): Page {
  const still = pipelines.filter(({ status }) => status.readerStillMs > READER_STILL_MS);
  const causes = still.map(
    ({ status }) =>
      `The reader of pipeline ${status.pipeline} has not moved for ${Math.round(status.readerStillMs / 1000)} s.`,
  );
  const live = causes.length === 0;
  return json(live ? 200 : 503, { live, causes });
}

export function readyPage({ pipelines }: Sight): Page {
  const ready = pipelines.every(pipeline => pipeline.ready);
  return json(ready ? 200 : 503, {
    ready,
    pipelines: pipelines.map(view => ({
      name: view.status.pipeline,
      ready: view.ready,
      // What does not make it unready, such as a full queue, is in the metrics.
      causes: view.ready ? [] : view.causes.map(cause => cause.sentence),
    })),
  });
}

/** The state of the process in one object, for whoever knows nothing of pipelines. */
export function healthPage({ pipelines }: Sight): Page {
  const isUp = pipelines.every(view => view.ready);
  const reads = ({ status, causes }: PipelineView): boolean =>
    status.phase === "running" && !causes.some(cause => cause.name === "mysql");
  const delivers = ({ status, causes }: PipelineView): boolean =>
    (status.phase === "running" || status.phase === "stopping") &&
    !causes.some(({ name }) => DELIVERY.has(name));
  const newestS = Math.max(0, ...pipelines.map(({ status }) => status.lastReadTimeS));
  return json(isUp ? 200 : 503, {
    status: isUp ? "UP" : "DOWN",
    monitor_running: pipelines.every(reads),
    dispatcher_running: pipelines.every(delivers),
    event_queue_size: pipelines.reduce((sum, { status }) => sum + status.waitingRows, 0),
    last_event_time:
      newestS === 0 ? null : new Date(newestS * 1000).toISOString().replace(".000Z", "Z"),
  });
}

const DELIVERY: ReadonlySet<string> = new Set(["broker", "partition", "destination", "commit_log"]);

export async function metricsPage(page: MetricsPage, sight: Sight): Promise<Page> {
  const body = await page.render(sight.pipelines, sight.process);
  return { status: 200, type: page.contentType, body };
}
