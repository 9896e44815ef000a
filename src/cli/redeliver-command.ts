/** `tidemark redeliver`: dead letters, sent to the destination again. */
import type { Config, PipelineConfig } from "../config/config.ts";
import { TidemarkError } from "../core/errors.ts";
import { silentLogger } from "../core/logger.ts";
import { redeliver } from "../pipeline/redeliver.ts";
import { loadFrom, type ConfigArguments, type ConfigFlags } from "./config-options.ts";

export interface RedeliverFlags extends ConfigFlags {
  readonly pipeline?: string;
}

const PROGRESS_MS = 1_000;

export async function redeliverCommand(
  options: ConfigArguments & { readonly flags: RedeliverFlags },
): Promise<void> {
  const { config } = loadFrom(options);
  const pipeline = chosen(config, options.flags);
  const stop = new AbortController();
  const onSignal = (): void =>
    stop.abort(new TidemarkError("DRAIN_TIMEOUT", "It was stopped; the next call goes on there."));
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  let shownMs = performance.now();
  const onProgress = (delivered: number): void => {
    if (performance.now() - shownMs < PROGRESS_MS) return;
    shownMs = performance.now();
    process.stderr.write(`${delivered} delivered …\n`);
  };
  try {
    const request = { config, pipeline, logger: silentLogger, signal: stop.signal, onProgress };
    const delivered = await redeliver(request);
    process.stdout.write(`${delivered} dead letters of ${pipeline.name} were delivered.\n`);
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}

function chosen({ pipelines }: Config, { pipeline: name }: RedeliverFlags): PipelineConfig {
  const able = pipelines.filter(({ deadLetter }) => deadLetter !== undefined);
  const [only, ...others] = name === undefined ? able : able.filter(one => one.name === name);
  if (only !== undefined && others.length === 0) return only;
  const names = able.map(one => one.name).join(", ");
  throw new TidemarkError(
    "USAGE",
    names === ""
      ? "No pipeline has on_refused.dead_letter."
      : `Name one of the pipelines that have dead letters with --pipeline: ${names}.`,
  );
}
