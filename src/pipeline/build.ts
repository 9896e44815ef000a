/**
 * From the configuration of one pipeline to running stages: the only place that constructs anything.
 *
 * The order of a start is what its promises rest on:
 *
 *   1. the commit log is opened, and the generation raised in it, which ends an older instance
 *   2. the sink fixes where the tails of its partitions end
 *   3. without a checkpoint, `source.start` is resolved and, with the partitions' end offsets, written down
 *   4. only then is the first event read
 */
import { randomUUID } from "node:crypto";
import { Assembler } from "../binlog/assembler.ts";
import { MysqlServer } from "../binlog/server.ts";
import { BinlogSource } from "../binlog/source.ts";
import { ZongjiReader } from "../binlog/zongji-reader.ts";
import type { Config, PipelineConfig } from "../config/config.ts";
import { outputHash } from "../config/output-hash.ts";
import { compileTableFilter } from "../config/table-pattern.ts";
import type { Checkpoint } from "../core/checkpoint.ts";
import { systemClock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { RunOptions } from "./run.ts";
