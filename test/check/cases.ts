/**
 * What can be wrong with the servers that a configuration names, one fault a case: how it comes about, and
 * what `check` has to say about it. `npm run verify -- product --only check` and check.services.test.ts
 * go through all of them.
 */
import type { MysqlVersion } from "../../tools/services/services.ts";
import type { AclOperation, Scene } from "./scene.ts";
import { WRONG_PASSWORD } from "./support.ts";

export interface Expected {
  readonly check: string;
  readonly level: "error" | "warning";
  /** Of `check`, and of `run`; 0 for a warning. */
  readonly exitCode: number;
  /** The words by which the fault is told from any other. */
  readonly found: RegExp;
  readonly fix: RegExp;
}

export interface Case {
  readonly name: string;
  /** Undefined: every version has it. */
  readonly only?: MysqlVersion;
  readonly arrange: (scene: Scene) => Promise<void> | void;
  readonly expected: (scene: Scene) => Expected;
  /** For `check` and `run`, where the servers are away. */
  readonly args?: readonly string[];
  /** What a person does where no statement can do it; otherwise the statements are run as printed. */
  readonly mend?: (scene: Scene) => void;
  /** A warning that no statement takes away here, such as that there is one broker. */
  readonly stays?: boolean;
}

function error(exitCode: number, check: string, found: RegExp, fix: RegExp): Expected {
  return { check, level: "error", exitCode, found, fix };
}

function warning(check: string, found: RegExp, fix: RegExp): Expected {
  return { check, level: "warning", exitCode: 0, found, fix };
}

/** Literally. */
const words = (text: string): RegExp => new RegExp(text.replaceAll(/[$()*+.?[\\\]^{|}]/g, "\\$&"));

const SETTINGS: readonly (readonly [
  name: string,
  wrong: string,
  right: string,
  because: string,
  only?: MysqlVersion,
])[] = [
  ["binlog_format", "STATEMENT", "ROW", "only ROW writes the changed rows"],
  ["binlog_format", "MIXED", "ROW", "only ROW writes the changed rows"],
];

const IMAGES: readonly (readonly [image: string, lacking: string])[] = [
  ["MINIMAL", "the columns that a change neither sets nor needs"],
  ["NOBLOB", "the BLOB and TEXT columns that a change does not set"],
];

const images = IMAGES.map(([image, lacking]): Case => ({
  name: `binlog_row_image ${image}`,
  arrange: async scene => {
    scene.afterwards(() => scene.sql("SET PERSIST binlog_row_image = FULL"));
    await scene.sql(`SET GLOBAL binlog_row_image = ${image}`);
  },
  expected: () =>
    warning(
      "mysql.binlog_row_image",
      words(`binlog_row_image is ${image}: messages lack ${lacking}`),
      words("SET PERSIST binlog_row_image = FULL"),
    ),
}));

const settings = SETTINGS.map(([name, wrong, right, because, only]): Case => ({
  name: `${name} ${wrong}`,
  ...(only === undefined ? {} : { only }),
  arrange: async scene => {
    scene.afterwards(() => scene.sql(`SET PERSIST ${name} = ${right}`));
    await scene.sql(`SET GLOBAL ${name} = ${wrong}`);
  },
  expected: () =>
    error(
      78,
      `mysql.${name}`,
      words(`${name} is ${wrong}: ${because}`),
      words(`SET PERSIST ${name} = ${right}`),
    ),
}));

const metadata: Case = {
  name: "binlog_row_metadata MINIMAL",
  arrange: async scene => {
    scene.afterwards(() => scene.sql("SET PERSIST binlog_row_metadata = FULL"));
    await scene.sql("SET GLOBAL binlog_row_metadata = MINIMAL");
  },
  expected: () =>
    warning(
      "mysql.binlog_row_metadata",
      words("binlog_row_metadata is MINIMAL: the binlog names no columns"),
      words("SET PERSIST binlog_row_metadata = FULL"),
    ),
};

const SEVERAL = "REPLICATION SLAVE, REPLICATION CLIENT";

const privileges = ["REPLICATION SLAVE", "REPLICATION CLIENT", SEVERAL].map((lost): Case => ({
  name: `without ${lost}`,
  arrange: scene => scene.sql(`REVOKE ${lost} ON *.* FROM ${scene.place.user}@'%'`),
  expected: ({ place }) =>
    error(
      77,
      "mysql.privileges",
      words(`\`${place.user}\`@\`%\` lacks ${lost.replace(", ", " and ")}.`),
      words(`GRANT ${lost} ON *.* TO \`${place.user}\`@\`%\``),
    ),
}));

const source: readonly Case[] = [
  {
    name: "log_bin OFF",
    arrange: scene => scene.useMysql(["--skip-log-bin", "--gtid-mode=OFF"]),
    expected: () =>
      error(78, "mysql.log_bin", /^log_bin is OFF: .* nothing to read/, /^mysqld --log-bin/),
  },
  ...settings,
  metadata,
  ...images,
  {
    name: "binlog kept for an hour",
    arrange: async scene => {
      scene.afterwards(() => scene.sql("SET PERSIST binlog_expire_logs_seconds = 2592000"));
      await scene.sql("SET GLOBAL binlog_expire_logs_seconds = 3600");
    },
    expected: () =>
      warning(
        "mysql.binlog_retention",
        /^The server keeps its binlog for 3600 seconds: .* changes are gone/,
        /^SET PERSIST binlog_expire_logs_seconds = 604800$/,
      ),
  },
  ...privileges,
  {
    name: "without SELECT",
    arrange: scene =>
      scene.sql(`REVOKE SELECT ON ${scene.place.database}.* FROM ${scene.place.user}@'%'`),
    expected: ({ place: { database, user } }) =>
      warning(
        "tables.names",
        words(`No table that our user sees matches ${database}.*`),
        words(`GRANT SELECT ON \`${database}\`.* TO \`${user}\`@\`%\``),
      ),
  },
  {
    name: "wrong password",
    arrange: scene => {
      scene.password = WRONG_PASSWORD;
    },
    expected: ({ place }) =>
      error(
        77,
        "mysql.connection",
        /Access denied for user/,
        words(`ALTER USER '${place.user}' IDENTIFIED BY '<source.password>'`),
      ),
  },
  {
    name: "wrong port",
    arrange: scene => {
      scene.pointTo({ host: "127.0.0.1", port: 1 });
    },
    args: ["--connect-timeout", "2"],
    expected: () =>
      error(
        69,
        "mysql.connection",
        /MySQL at 127\.0\.0\.1:1 could not be reached in time: .*ECONNREFUSED/,
        /^source\.host, source\.port: where a MySQL server is up$/,
      ),
    mend: scene => {
      scene.correct();
    },
  },
  {
    name: "wrong host",
    arrange: scene => {
      scene.pointTo({ host: "db.invalid", port: 3306 });
    },
    args: ["--connect-timeout", "2"],
    expected: () =>
      error(
        69,
        "mysql.connection",
        /MySQL at db\.invalid:3306 could not be reached in time: .*(ENOTFOUND|EAI_AGAIN)/,
        /^source\.host, source\.port: where a MySQL server is up$/,
      ),
    mend: scene => {
      scene.correct();
    },
  },
  {
    name: "TLS required but absent",
    arrange: async scene => {
      await scene.useMysql([scene.version === "mysql-8" ? "--ssl=OFF" : "--tls-version="]);
      scene.configure({ source: { tls: { mode: "required" } } });
    },
    expected: () =>
      error(
        78,
        "mysql.connection",
        /offers no TLS, but source\.tls\.mode is required/,
        /^--set source\.tls\.mode=disabled/,
      ),
  },
  {
    name: "server_id of the server",
    arrange: scene => {
      scene.configure({ source: { server_id: 1 } });
    },
    expected: () =>
      error(
        78,
        "mysql.server_id",
        /^The server itself has the id 1, which source\.server_id gives to us/,
        /^--set source\.server_id=\d+/,
      ),
  },
  {
    name: "server_id of another replica",
    arrange: async scene => {
      await scene.replica(4711);
      scene.configure({ source: { server_id: 4711 } });
    },
    expected: () =>
      error(
        78,
        "mysql.replica_id",
        /^Another replica \(.+\) has the id 4711/,
        /^--set source\.server_id=\d+/,
      ),
  },
];

const ALL: readonly AclOperation[] = ["Describe", "DescribeConfigs", "Read", "Write"];

/** Our user may do everything with the topic but this. */
function denied(
  operation: AclOperation,
  verb: string,
  options: { readonly commitLog?: boolean } = {},
): Case {
  const nameOf = ({ place }: Scene): string =>
    options.commitLog === true ? place.commitLogTopic : place.topic;
  return {
    name: `${options.commitLog === true ? "commit log" : "topic"} without ${operation}`,
    arrange: async scene => {
      if (operation === "Create") await scene.forbidCreation();
      else if (options.commitLog === true) await scene.commitLogTopic();
      else await scene.topic(nameOf(scene), { numPartitions: 2 });
      // Read and Write imply Describe.
      const others = operation === "Describe" ? [] : ALL.filter(name => name !== operation);
      await scene.allowOnly(nameOf(scene), others);
    },
    expected: scene => ({
      check: "kafka.acls",
      level: "error",
      exitCode: 77,
      found: words(`Our user may not ${verb} topic ${nameOf(scene)}.`),
      fix: words(
        `--add --allow-principal User:ANONYMOUS --operation ${operation} --topic ${nameOf(scene)}`,
      ),
    }),
  };
}

const SETTINGS_OF = "look at the settings of";

const acls: readonly Case[] = [
  denied("Create", "make"),
  denied("Describe", "look at"),
  denied("Write", "write"),
  denied("Read", "read"),
  {
    ...denied("DescribeConfigs", SETTINGS_OF),
    expected: scene => ({
      ...denied("DescribeConfigs", SETTINGS_OF).expected(scene),
      level: "warning",
      exitCode: 0,
    }),
  },
  ...(["Describe", "Write"] as const).map(operation => ({
    name: `transactional id without ${operation}`,
    arrange: (scene: Scene) => scene.allowTransactions(operation === "Write" ? ["Describe"] : []),
    expected: ({ place }: Scene) =>
      error(
        77,
        "kafka.acls",
        words(`Our user may not use the transactional id tidemark-${place.pipeline},`),
        words(
          `--operation Describe --operation Write --transactional-id tidemark-${place.pipeline} ` +
            "--resource-pattern-type prefixed",
        ),
      ),
  })),
  denied("Describe", "look at", { commitLog: true }),
  denied("Write", "write", { commitLog: true }),
  denied("Read", "read", { commitLog: true }),
  denied("DescribeConfigs", SETTINGS_OF, { commitLog: true }),
];

const destination: readonly Case[] = [
  {
    name: "Kafka away",
    arrange: scene => {
      scene.configure({ kafka: { brokers: ["127.0.0.1:1"] } });
    },
    args: ["--connect-timeout", "2"],
    expected: () =>
      error(
        69,
        "kafka.connection",
        /^Kafka could not be reached in time: .*ECONNREFUSED/,
        /^sink\.brokers: the host:port of brokers that are up$/,
      ),
    mend: scene => {
      scene.correct();
    },
  },
  {
    name: "commit log not compacted",
    arrange: scene => scene.topic(scene.place.commitLogTopic, { numPartitions: 1 }),
    expected: ({ place }) =>
      error(
        78,
        "kafka.commit_log",
        /has 1 partitions? and cleanup\.policy=delete/,
        words(`--entity-name ${place.commitLogTopic} --add-config cleanup.policy=compact`),
      ),
  },
  {
    name: "commit log compacted and deleted",
    arrange: scene => scene.commitLogTopic("compact,delete"),
    expected: ({ place }) =>
      error(
        78,
        "kafka.commit_log",
        /cleanup\.policy=compact,delete/,
        words(`--entity-name ${place.commitLogTopic} --add-config cleanup.policy=compact`),
      ),
  },
  {
    name: "commit log of two partitions",
    arrange: scene => scene.commitLogTopic("compact", 2),
    expected: ({ place: { commitLogTopic, pipeline } }) =>
      error(
        78,
        "kafka.commit_log",
        /has 2 partitions/,
        words(`--set pipelines.${pipeline}.commit_log.topic=${commitLogTopic}-2`),
      ),
  },
  {
    name: "min.insync.replicas 1, one broker",
    arrange: scene => scene.topic(scene.place.topic, { numPartitions: 1 }),
    expected: () =>
      warning(
        "kafka.replication",
        /one broker.*min\.insync\.replicas is 1/,
        /three brokers.*min\.insync\.replicas=2/,
      ),
    stays: true,
  },
  {
    name: "min.insync.replicas 1, three brokers",
    arrange: async scene => {
      await scene.useThreeBrokers();
      const configEntries = [{ name: "min.insync.replicas", value: "1" }];
      await scene.topic(scene.place.topic, { replicationFactor: 3, configEntries });
    },
    expected: ({ place }) =>
      warning(
        "kafka.replication",
        words(`Topic ${place.topic} has min.insync.replicas=1`),
        words(`--entity-name ${place.topic} --add-config min.insync.replicas=2`),
      ),
  },
];

const tables: readonly Case[] = [
  {
    name: "two tables with one topic name",
    arrange: async scene => {
      const { database, id } = scene.place;
      await scene.sql(`CREATE TABLE ${database}.items (id INT PRIMARY KEY)`);
      scene.configure({ sink: { topic: `all-${id}` } });
    },
    expected: ({ place: { database, id, pipeline } }) =>
      error(
        78,
        "tables.topic_name",
        words(`Tables ${database}.items and ${database}.orders would both go to topic all-${id}.`),
        words(`--set pipelines.${pipeline}.sink.topic={database}.{table}`),
      ),
  },
  {
    name: "a table without key",
    arrange: scene => scene.sql(`CREATE TABLE ${scene.place.database}.log (line TEXT)`),
    expected: ({ place }) =>
      warning(
        "tables.primary_key",
        words(`Table ${place.database}.log has no primary key`),
        words(`ALTER TABLE \`${place.database}\`.\`log\` ADD COLUMN`),
      ),
  },
  {
    name: "a table without key, on a compacted topic",
    arrange: async scene => {
      const { database } = scene.place;
      await scene.sql(`CREATE TABLE ${database}.log (line TEXT)`);
      const configEntries = [{ name: "cleanup.policy", value: "compact,delete" }];
      await scene.topic(`${database}.log`, { numPartitions: 1, configEntries });
    },
    expected: ({ place: { database } }) =>
      error(
        78,
        "tables.primary_key",
        words(
          `Table ${database}.log has no primary key, but its topic ${database}.log is compacted`,
        ),
        words(`ALTER TABLE \`${database}\`.\`log\` ADD COLUMN`),
      ),
  },
];

export const cases: readonly Case[] = [...source, ...acls, ...destination, ...tables];

/** Those that this version of MySQL has. */
export function casesOf(version: MysqlVersion): readonly Case[] {
  return cases.filter(({ only = version }) => only === version);
}
