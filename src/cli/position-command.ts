/** `tidemark position show` and `set`: where a pipeline stands, and putting it somewhere else. */
import type { Config, PipelineConfig } from "../config/config.ts";
import { sourcePosition, type Checkpoint } from "../core/checkpoint.ts";
import { TidemarkError } from "../core/errors.ts";
import { isFinished, type SnapshotState } from "../core/snapshot-state.ts";
import { silentLogger } from "../core/logger.ts";
import { placeOf } from "../position/effect.ts";
import { positionFile } from "../position/file.ts";
import { readPosition, setPosition, type PositionRequest } from "../position/set.ts";
import { loadFrom, type ConfigArguments, type ConfigFlags } from "./config-options.ts";

export interface PositionFlags extends ConfigFlags {
  readonly pipeline?: string;
  readonly json?: boolean;
  /** Of `show`. */
  readonly format?: "file";
  /** Seconds. */
  readonly connectTimeout: number;
}

type Options = ConfigArguments & { readonly flags: PositionFlags };

export async function showPosition(options: Options): Promise<void> {
  const { flags } = options;
  const { config } = loadFrom(options);
  if (flags.format === "file") {
    print(await fileOf(config, flags));
    return;
  }
  const pipelines = flags.pipeline === undefined ? config.pipelines : [chosen(config, flags)];
  const shown: { pipeline: string; checkpoint: Checkpoint | null }[] = [];
  for (const pipeline of pipelines) {
    const checkpoint = await readPosition(requestOf(config, pipeline, flags));
    shown.push({ pipeline: pipeline.name, checkpoint: checkpoint ?? null });
  }
  if (flags.json === true) print(`${JSON.stringify(shown, undefined, 2)}\n`);
  else for (const { pipeline, checkpoint } of shown) print(describe(pipeline, checkpoint));
}

export async function movePosition(options: Options & { readonly place: string }): Promise<void> {
  const { flags, place } = options;
  const { config } = loadFrom(options);
  const pipeline = chosen(config, flags);
  const request = requestOf(config, pipeline, flags);
  const { checkpoint, before, effect, tornBytes } = await setPosition(request, place);
  if (flags.json === true) {
    print(`${JSON.stringify({ pipeline: pipeline.name, checkpoint, effect }, undefined, 2)}\n`);
    return;
  }
  const { generation } = checkpoint;
  const lines = [
    ...(before.damage === undefined
      ? []
      : [`The old record could not be used: ${before.damage.message}`]),
    `Pipeline ${pipeline.name} goes on at ${placeOf(sourcePosition(checkpoint))} (generation ${generation}).`,
    effect,
    `The destination is taken as it stands: ${countEnds(checkpoint)}.`,
    ...(tornBytes === 0
      ? []
      : [`Its last ${tornBytes} bytes are no whole line: the next start cuts them off.`]),
  ];
  print(`${lines.join("\n")}\n`);
}

async function fileOf(config: Config, flags: PositionFlags): Promise<string> {
  const pipeline = chosen(config, flags);
  const checkpoint = await readPosition(requestOf(config, pipeline, flags));
  if (checkpoint !== undefined) return positionFile(checkpoint);
  throw new TidemarkError("POSITION_UNUSABLE", `Pipeline ${pipeline.name} has no checkpoint yet.`);
}

/** The pipeline that is meant. @throws TidemarkError USAGE where several could be. */
export function chosen(
  { pipelines }: Config,
  { pipeline: name }: { readonly pipeline?: string },
): PipelineConfig {
  const names = pipelines.map(pipeline => pipeline.name).join(", ");
  const [only, ...others] = pipelines;
  if (name === undefined && only !== undefined && others.length === 0) return only;
  const found = pipelines.find(pipeline => pipeline.name === name);
  if (found !== undefined) return found;
  throw new TidemarkError("USAGE", `Name one of the pipelines with --pipeline: ${names}.`);
}

function requestOf(
  config: Config,
  pipeline: PipelineConfig,
  { connectTimeout }: PositionFlags,
): PositionRequest {
  const timeoutMs = Math.ceil(connectTimeout * 1_000);
  return { config, pipeline, timeoutMs, logger: silentLogger };
}

function countEnds({ next_offsets }: Checkpoint): string {
  const partitions = Object.values(next_offsets).flatMap(offsets => Object.keys(offsets)).length;
  if (partitions === 0) return "nothing is in it";
  return partitions === 1 ? "one partition or file" : `${partitions} partitions`;
}

const SHOWN_MAX = 20;

function describe(pipeline: string, checkpoint: Checkpoint | null): string {
  if (checkpoint === null)
    return `${pipeline}: no checkpoint; the next start begins at source.start\n`;
  const { transaction, next_offsets } = checkpoint;
  const parts = Object.entries(transaction?.tables ?? {}).map(
    ([id, { rows }]) => `${rows} of ${id}`,
  );
  const ends = Object.entries(next_offsets).flatMap(([name, offsets]) =>
    Object.entries(offsets).map(([partition, offset]) => `${name} ${partition}: ${offset}`),
  );
  const rows: readonly (readonly [string, string])[] = [
    ["position", placeOf(sourcePosition(checkpoint))],
    [
      "server",
      checkpoint.server_uuid === "" ? "any that has the GTID set" : checkpoint.server_uuid,
    ],
    ["gtid set", checkpoint.gtid_set === "" ? "none" : checkpoint.gtid_set],
    ...(transaction === null
      ? []
      : [["inside", `${transaction.id}: rows ${parts.join(", ")}`] as const]),
    ["last event", checkpoint.event_time ?? "none yet"],
    [
      "written",
      `${checkpoint.written_at} (generation ${checkpoint.generation}, ${checkpoint.sequence})`,
    ],
    ["delivery", checkpoint.delivery],
    ...(checkpoint.snapshot === null ? [] : [["snapshot", copied(checkpoint.snapshot)] as const]),
    ...ends.slice(0, SHOWN_MAX).map(end => ["next offset", end] as const),
    ...(ends.length > SHOWN_MAX ? [["", `and ${ends.length - SHOWN_MAX} more`] as const] : []),
  ];
  return [pipeline, ...rows.map(([name, value]) => `  ${name.padEnd(12)} ${value}`), ""].join("\n");
}

function copied(state: SnapshotState): string {
  const all = Object.values(state.tables);
  // Many tables are not listed any more.
  if (isFinished(state) && all.length === 0) return "all tables";
  const rows = all.reduce((sum, table) => sum + table.rows, 0);
  return `${all.filter(({ done }) => done).length} of ${all.length} tables, ${rows} rows so far`;
}

function print(text: string): void {
  process.stdout.write(text);
}
