/**
 * A RabbitMQ broker with its own Erlang name server (epmd), both on the loopback interface only.
 *
 *   <dir>/data, rabbitmq.conf, enabled_plugins, log, epmd.log
 *
 * The start script is told that systemd runs it: then it becomes the broker instead of staying beside
 * it, and a signal reaches the broker itself.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { join } from "node:path";
import { connect } from "amqplib";
import { runCommand } from "./commands.ts";
import type { Rabbitmq, RabbitmqOptions } from "./interfaces.ts";
import { keptEnvironment, keptFolder } from "./keeper.ts";
import { freePort, host } from "./ports.ts";
import { rabbitmqProgram, type RabbitmqProgram } from "./rabbitmq-program.ts";
import { ServerProcess, withFreshPorts } from "./server-process.ts";
import { SingleServer, started } from "./single-server.ts";

const probeTimeoutMs = 5_000;

interface Place {
  readonly dir: string;
  readonly port: number;
  /** Of the name server, and for its node among others. */
  readonly epmdPort: number;
  readonly distributionPort: number;
  readonly node: string;
}

export async function launchRabbitmq(options: RabbitmqOptions): Promise<Rabbitmq> {
  const program = await rabbitmqProgram();
  return withFreshPorts(async () => {
    const dir = keptFolder("rabbitmq");
    const [port, epmdPort, distributionPort] = [
      await freePort(),
      await freePort(),
      await freePort(),
    ];
    const place = { dir, port, epmdPort, distributionPort, node: `tidemark${port}@localhost` };
    return started(new Broker(program, place, options));
  });
}

class Broker extends SingleServer implements Rabbitmq {
  readonly host = host;
  readonly port: number;
  readonly user = "guest";
  readonly password = "guest";
  readonly url: string;
  readonly #program: RabbitmqProgram;
  readonly #place: Place;
  readonly #names: ServerProcess;

  constructor(program: RabbitmqProgram, place: Place, { config = {} }: RabbitmqOptions) {
    const { dir, port, epmdPort } = place;
    super(
      dir,
      new ServerProcess({
        name: "rabbitmq",
        command: "env",
        args: [...environment(place), program.server],
        folder: dir,
        logFile: join(dir, "log"),
      }),
    );
    this.#program = program;
    this.#place = place;
    this.port = port;
    this.url = `amqp://${this.user}:${this.password}@${host}:${port}`;
    mkdirSync(join(dir, "data"));
    writeFileSync(join(dir, "enabled_plugins"), "[].\n");
    const lines = Object.entries(config).map(([name, value]) => `${name} = ${value}\n`);
    writeFileSync(join(dir, "rabbitmq.conf"), lines.join(""));
    this.#names = new ServerProcess({
      name: "epmd",
      command: program.epmd,
      args: ["-address", host, "-port", String(epmdPort)],
      folder: dir,
      logFile: join(dir, "epmd.log"),
    });
  }

  override async startOnce(): Promise<void> {
    await this.#names.startOnce(() => listens(this.#place.epmdPort));
    await super.startOnce();
  }

  override async start(): Promise<void> {
    await this.#names.start(() => listens(this.#place.epmdPort));
    await super.start();
  }

  override async discard(): Promise<void> {
    await super.discard();
    await this.#names.discard();
  }

  ctl(...args: readonly string[]): Promise<string> {
    const pairs = environment(this.#place).map(pair => {
      const at = pair.indexOf("=");
      return [pair.slice(0, at), pair.slice(at + 1)] as const;
    });
    const env = { ...keptEnvironment(), ...Object.fromEntries(pairs) };
    return runCommand(this.#program.ctl, ["-q", "-n", this.#place.node, ...args], { env });
  }

  /** The cluster's name tells our broker from one that took the port. */
  protected async answers(): Promise<boolean> {
    const connection = await connect(this.url, { timeout: probeTimeoutMs });
    const properties: Readonly<Record<string, unknown>> = {
      ...connection.connection.serverProperties,
    };
    await connection.close();
    return String(properties["cluster_name"]).startsWith(`tidemark${this.port}@`);
  }
}

function environment({ dir, port, epmdPort, distributionPort, node }: Place): string[] {
  return [
    "RUNNING_UNDER_SYSTEMD=true",
    `HOME=${dir}`,
    `RABBITMQ_MNESIA_BASE=${join(dir, "data")}`,
    `RABBITMQ_LOG_BASE=${dir}`,
    "RABBITMQ_LOGS=-",
    `RABBITMQ_CONF_ENV_FILE=${join(dir, "none")}`,
    `RABBITMQ_CONFIG_FILE=${join(dir, "rabbitmq.conf")}`,
    `RABBITMQ_ENABLED_PLUGINS_FILE=${join(dir, "enabled_plugins")}`,
    `RABBITMQ_NODENAME=${node}`,
    `RABBITMQ_NODE_PORT=${port}`,
    `RABBITMQ_NODE_IP_ADDRESS=${host}`,
    `RABBITMQ_DIST_PORT=${distributionPort}`,
    `ERL_EPMD_ADDRESS=${host}`,
    `ERL_EPMD_PORT=${epmdPort}`,
    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
  ];
}

function listens(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connectTcp(port, host);
    socket.once("connect", () => socket.end(() => resolve(true)));
    socket.once("error", () => resolve(false));
  });
}
