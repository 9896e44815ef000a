/**
 * A place in which something is wrong, and the person who mends it: runs what `check` prints, as it is
 * printed. SQL goes to the server, Kafka's commands to a shell, and `--set …` to the next command line.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import kafkajs, {
  type Admin,
  type Kafka as Client,
  type AclEntry,
  type ITopicConfig,
} from "kafkajs";
import { createConnection } from "mysql2/promise";
import { runCommand } from "../../tools/services/commands.ts";
import { keptEnvironment } from "../../tools/services/keeper.ts";
import {
  startMysql,
  type Kafka,
  type Mysql,
  type MysqlVersion,
} from "../../tools/services/services.ts";
import { createTopics } from "../support/create-topics.ts";
import { installKafkaTools } from "./kafka-tools.ts";
import { ask } from "../../tools/services/mysql-statements.ts";
import { Place, until, type Ended, type Found } from "./support.ts";

// kafkajs is CommonJS, and its enums are there at run time only as properties of the whole.
const {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  Kafka: KafkaClient,
  ResourcePatternTypes,
  logLevel,
} = kafkajs;

/** A broker that has access rules and lets everybody do what no rule speaks of. */
export const authorizer = {
  "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
  "allow.everyone.if.no.acl.found": "true",
} as const;

export type AclOperation = "Read" | "Write" | "Create" | "Describe" | "DescribeConfigs";

const OPERATIONS = {
  Read: AclOperationTypes.READ,
  Write: AclOperationTypes.WRITE,
  Create: AclOperationTypes.CREATE,
  Describe: AclOperationTypes.DESCRIBE,
  DescribeConfigs: AclOperationTypes.DESCRIBE_CONFIGS,
} as const satisfies Record<AclOperation, number>;

/** What the broker itself and whoever gives privileges need. */
const CLUSTER_OPERATIONS = [
  AclOperationTypes.ALTER,
  AclOperationTypes.ALTER_CONFIGS,
  AclOperationTypes.CLUSTER_ACTION,
  AclOperationTypes.DESCRIBE,
  AclOperationTypes.DESCRIBE_CONFIGS,
  AclOperationTypes.IDEMPOTENT_WRITE,
];

/** Servers that scenes share, with what it takes to set them up. */
export interface Stage {
  readonly bundle: string;
  readonly mysql: Mysql;
  /** One broker with `authorizer`. */
  readonly kafka: Kafka;
  /** Three brokers, started when a case needs them. */
  readonly three: () => Promise<Kafka>;
}

export type Configured = Parameters<Place["configure"]>[1];

const ROUNDS_MAX = 6;

export class Scene {
  readonly place: Place;
  readonly #stage: Stage;
  readonly #tools = mkdtempSync(join(tmpdir(), "tidemark-tools-"));
  readonly #cleanups: (() => Promise<unknown>)[] = [];
  #mysql: Mysql;
  #kafka: Kafka;
  #configured: Configured = {};
  /** What the statements added to the command line. */
  #options: readonly string[] = [];
  /** What the configuration says; another one than the user's is wrong. */
  password: string;

  private constructor(stage: Stage) {
    this.#stage = stage;
    this.#mysql = stage.mysql;
    this.#kafka = stage.kafka;
    this.place = new Place(stage.bundle);
    this.password = this.place.password;
  }

  static async open(stage: Stage): Promise<Scene> {
    const scene = new Scene(stage);
    await installKafkaTools(scene.#tools);
    await scene.#prepare(stage.mysql);
    scene.configure({});
    return scene;
  }

  get mysql(): Mysql {
    return this.#mysql;
  }

  get kafka(): Kafka {
    return this.#kafka;
  }

  get version(): MysqlVersion {
    return this.#stage.mysql.version;
  }

  /** Undone at the end, the last one first. */
  afterwards(action: () => Promise<unknown>): void {
    this.#cleanups.push(action);
  }

  async close(): Promise<void> {
    for (const action of this.#cleanups.reverse()) await action();
    rmSync(this.#tools, { recursive: true, force: true });
    this.place.remove();
  }

  configure(changes: Configured): void {
    this.#configured = { ...this.#configured, ...changes };
    this.place.configure(this.#mysql, { kafka: this.#kafka, ...this.#configured });
  }

  /** As if the configuration named a server that is not there. */
  pointTo(address: { readonly host: string; readonly port: number }): void {
    this.place.configure(address, { kafka: this.#kafka, ...this.#configured });
  }

  /** The configuration is as it was before anything was wrong with it. */
  correct(): void {
    this.#configured = {};
    this.configure({});
  }

  async sql(...statements: readonly string[]): Promise<void> {
    await ask(this.#mysql, ...statements);
  }

  /** A server of the scene's own; where there was one already, it ends, and the new one has its port. */
  async useMysql(args: readonly string[], port?: number): Promise<void> {
    const mysql = await startMysql(this.version, { args, ...(port === undefined ? {} : { port }) });
    this.afterwards(() => mysql.stop());
    await this.#prepare(mysql);
    this.#mysql = mysql;
    this.configure({});
  }

  async useThreeBrokers(): Promise<void> {
    this.#kafka = await this.#stage.three();
    this.configure({});
  }

  async topic(topic: string, spec: Omit<ITopicConfig, "topic"> = {}): Promise<void> {
    const clients = this.#kafka.brokers.map(broker => clientOf([broker]));
    await createTopics(clients, [{ topic, ...spec }]);
  }

  /** The topic that checkpoints are kept in. */
  async commitLogTopic(policy = "compact", numPartitions = 1): Promise<void> {
    const configEntries = [{ name: "cleanup.policy", value: policy }];
    await this.topic(this.place.commitLogTopic, { numPartitions, configEntries });
  }

  /** Another replica of the shared server, with this id. */
  async replica(id: number): Promise<void> {
    const user = `repl_${this.place.id}`;
    const isOld = this.version === "mysql-8";
    const [skip, change, prefix, start] = isOld
      ? ["--skip-slave-start", "CHANGE MASTER TO", "MASTER", "START SLAVE IO_THREAD"]
      : [
          "--skip-replica-start",
          "CHANGE REPLICATION SOURCE TO",
          "SOURCE",
          "START REPLICA IO_THREAD",
        ];
    const replica = await startMysql(this.version, { args: [`--server-id=${id}`, skip] });
    this.afterwards(() => replica.stop());
    await this.sql(
      `CREATE USER ${user}@'%' IDENTIFIED BY 'repl'`,
      `GRANT REPLICATION SLAVE ON *.* TO ${user}@'%'`,
    );
    this.afterwards(() => this.sql(`DROP USER ${user}@'%'`));
    await ask(
      replica,
      `${change} ${prefix}_HOST='127.0.0.1', ${prefix}_PORT=${this.#mysql.port},
       ${prefix}_USER='${user}', ${prefix}_PASSWORD='repl', ${prefix}_SSL=1, ${prefix}_AUTO_POSITION=1`,
      start,
    );
    await until("the replica has registered", async () => {
      const registered = await ask(this.#mysql, isOld ? "SHOW SLAVE HOSTS" : "SHOW REPLICAS");
      return registered.length > 0;
    });
  }

  /** Our user, who has no name, may do only this with a topic. */
  async allowOnly(topic: string, operations: readonly AclOperation[]): Promise<void> {
    await this.#acl(AclResourceTypes.TOPIC, topic, [
      ["User:other", AclOperationTypes.ALL],
      ...operations.map(name => ["User:ANONYMOUS", OPERATIONS[name]] as const),
    ]);
  }

  /** Our user may do only this with the transactional id of its pipeline. */
  async allowTransactions(operations: readonly AclOperation[]): Promise<void> {
    const id = `tidemark-${this.place.pipeline}`;
    await this.#acl(AclResourceTypes.TRANSACTIONAL_ID, id, [
      ["User:other", AclOperationTypes.ALL],
      ...operations.map(name => ["User:ANONYMOUS", OPERATIONS[name]] as const),
    ]);
  }

  /** Everything but making topics. */
  async forbidCreation(): Promise<void> {
    await this.#acl(
      AclResourceTypes.CLUSTER,
      "kafka-cluster",
      CLUSTER_OPERATIONS.map(operation => ["User:ANONYMOUS", operation]),
    );
  }

  check(args: readonly string[] = []): ReturnType<Place["check"]> {
    return this.place.check([...this.#options, ...args], this.password);
  }

  run(args: readonly string[] = []): Promise<Ended> {
    return this.place.run(["run", ...this.#options, ...args], this.password);
  }

  /**
   * Runs the statements of what is wrong until `check` finds no error, and no `warnings` of this name. Some
   * faults show only when others are mended.
   */
  async mend(warnings?: string): ReturnType<Place["check"]> {
    for (let round = 1; ; round += 1) {
      const checked = await this.check();
      const wrong = checked.bad.filter(
        ({ level, check }) => level === "error" || check === warnings,
      );
      if (wrong.length === 0 || round === ROUNDS_MAX) return checked;
      for (const { fix } of wrong) await this.#follow(fix);
    }
  }

  async #follow(fix: Found["fix"]): Promise<void> {
    if (/^(ALTER|GRANT|SET) /.test(fix)) return this.#statement(fix);
    if (fix.startsWith("mysqld ")) return this.#restart(fix);
    if (fix.startsWith("--set ")) {
      this.#options = [...this.#options, ...(await this.#words(fix))];
      return;
    }
    if (!/^kafka-[a-z]+\.sh /.test(fix)) throw new Error(`this is no statement: ${fix}`);
    await runCommand("sh", ["-c", fix], { env: this.#shell() });
  }

  async #statement(sql: string): Promise<void> {
    const { host, port, user, password } = this.#mysql;
    const server = { host, port, user, password, multipleStatements: true };
    const connection = await createConnection(server);
    try {
      // No output of ours shows a password: it stands for the one of the configuration.
      const shown = this.password.replaceAll("'", "''");
      await connection.query(sql.replace("<source.password>", () => shown));
    } finally {
      await connection.end();
    }
  }

  async #restart(command: string): Promise<void> {
    const [, ...args] = await this.#words(command);
    const { port } = this.#mysql;
    await this.#mysql.stop();
    await this.useMysql(args, port);
  }

  /** As a shell takes them, comments left out. */
  async #words(text: string): Promise<readonly string[]> {
    const printed = await runCommand("sh", ["-c", `printf '%s\\n' ${text}`]);
    return printed.trimEnd().split("\n");
  }

  #shell(): NodeJS.ProcessEnv {
    const environment = keptEnvironment();
    return { ...environment, PATH: [this.#tools, environment["PATH"]].join(delimiter) };
  }

  async #prepare(mysql: Mysql): Promise<void> {
    const { database, user } = this.place;
    await this.place.prepare(mysql);
    if (mysql !== this.#stage.mysql) return;
    this.afterwards(() => ask(mysql, `DROP DATABASE ${database}`, `DROP USER ${user}@'%'`));
  }

  async #acl(
    resourceType: AclEntry["resourceType"],
    resourceName: string,
    rules: readonly (readonly [principal: string, operation: AclEntry["operation"]])[],
  ): Promise<void> {
    const pattern = {
      resourceType,
      resourceName,
      resourcePatternType: ResourcePatternTypes.LITERAL,
    };
    const permissionType = AclPermissionTypes.ALLOW;
    await this.#admin(admin =>
      admin.createAcls({
        acl: rules.map(([principal, operation]) => ({
          ...{ ...pattern, permissionType, principal, operation, host: "*" },
        })),
      }),
    );
    const operation = AclOperationTypes.ANY;
    const filters = [{ ...pattern, permissionType: AclPermissionTypes.ANY, operation }];
    this.afterwards(() => this.#admin(admin => admin.deleteAcls({ filters })));
  }

  async #admin<T>(action: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = clientOf(this.#kafka.brokers).admin();
    await admin.connect();
    try {
      return await action(admin);
    } finally {
      await admin.disconnect();
    }
  }
}

function clientOf(brokers: readonly string[]): Client {
  return new KafkaClient({ clientId: "test", brokers: [...brokers], logLevel: logLevel.NOTHING });
}
