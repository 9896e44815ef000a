/** The replica that existing rows are read from, and what is asked about it while they are. */
import type { MysqlConnectionOptions } from "../binlog/connection.ts";
import { MysqlServer } from "../binlog/server.ts";
import { errantOf, errantSentence, replicaFindings } from "../check/replica.ts";
import type { SourceConfig } from "../config/config.ts";
import { TidemarkError } from "../core/errors.ts";
import { errorOf } from "../core/finding.ts";
import type { Logger } from "../core/logger.ts";
import type { ReplicaQuestions } from "../snapshot/mysql-chunks.ts";
import { hostName } from "./hosts.ts";

export class SnapshotReplica implements ReplicaQuestions {
  readonly name: string;
  readonly server: MysqlServer;
  readonly connection: MysqlConnectionOptions;
  readonly #source: MysqlServer;
  readonly #logger: Logger;

  constructor(connection: MysqlConnectionOptions, source: MysqlServer, logger: Logger) {
    this.name = hostName(connection);
    this.connection = connection;
    this.server = new MysqlServer(connection);
    this.#source = source;
    this.#logger = logger;
  }

  /** Tables are looked at when their turn comes: the replica may lag. */
  async check(): Promise<void> {
    const { name, server: replica } = this;
    const error = errorOf(
      await replicaFindings({ name, replica, source: this.#source, tables: [] }),
    );
    if (error !== undefined) throw error;
  }

  async late(gtids: string, waitedS: number): Promise<void> {
    const missing = await this.server.subtractGtids(gtids, (await this.server.gtids()).executed);
    if ((await this.server.replicates()) === false) {
      throw new TidemarkError(
        "SOURCE_BEHIND",
        `${this.name}, where existing rows are read, lacks transactions ${missing} and does not replicate: run ` +
          "START REPLICA there, SHOW REPLICA STATUS tells why it stopped.",
      );
    }
    this.#logger.warn(
      { host: this.name, waited_s: waitedS, missing },
      "existing rows wait for a replica that lags behind",
    );
  }

  async known(gtids: string): Promise<void> {
    const errant = await errantOf({ replica: this.server, source: this.#source }, gtids);
    if (errant === "") return;
    throw new TidemarkError("SOURCE_SETTING", errantSentence(this.name, errant));
  }

  async gone(table: string): Promise<void> {
    const tables = await this.#source.tables();
    if (!tables.some(({ database, name }) => `${database}.${name}` === table)) return;
    throw new TidemarkError(
      "SOURCE_BEHIND",
      `${this.name}, where existing rows are read, shows no table ${table}: it has to replicate it, and our ` +
        "user needs SELECT on it there too.",
    );
  }

  close(): void {
    this.server.close();
  }
}

/** Undefined where existing rows are read from the server whose changes are read. */
export function snapshotReplica(
  source: SourceConfig,
  server: MysqlServer,
  logger: Logger,
): SnapshotReplica | undefined {
  const { user, password, tls, snapshot } = source;
  if (snapshot.replica === undefined) return undefined;
  return new SnapshotReplica({ user, password, tls, ...snapshot.replica }, server, logger);
}
