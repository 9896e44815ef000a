/**
 * ElasticMQ, which speaks SQS. Its queues are in memory: they are gone when it ends.
 *
 *   <dir>/elasticmq.conf, log
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { elasticmqProgram } from "./elasticmq-program.ts";
import type { Elasticmq } from "./interfaces.ts";
import { keptFolder } from "./keeper.ts";
import { freePort, host } from "./ports.ts";
import { ServerProcess, withFreshPorts } from "./server-process.ts";

const probeTimeoutMs = 5_000;

export async function launchElasticmq(): Promise<Elasticmq> {
  const classPath = await elasticmqProgram();
  return withFreshPorts(async () => {
    const server = new Server(classPath, keptFolder("elasticmq"), await freePort());
    try {
      await server.startOnce();
    } catch (error) {
      await server.discard();
      throw error;
    }
    return server;
  });
}

class Server implements Elasticmq {
  readonly host = host;
  readonly port: number;
  readonly url: string;
  readonly dir: string;
  readonly #process: ServerProcess;

  constructor(classPath: string, dir: string, port: number) {
    this.port = port;
    this.url = `http://${host}:${port}`;
    this.dir = dir;
    const file = join(dir, "elasticmq.conf");
    writeFileSync(file, configuration(port));
    this.#process = new ServerProcess({
      name: "elasticmq",
      command: "java",
      args: ["-Xmx512m", `-Dconfig.file=${file}`, "-cp", classPath, "org.elasticmq.server.Main"],
      folder: dir,
      logFile: join(dir, "log"),
    });
  }

  get pid(): number {
    return this.#process.pid;
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  startOnce(): Promise<void> {
    return this.#process.startOnce(() => this.#answers());
  }

  start(): Promise<void> {
    return this.#process.start(() => this.#answers());
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }

  discard(): Promise<void> {
    return this.#process.discard();
  }

  async #answers(): Promise<boolean> {
    const response = await fetch(`${this.url}/?Action=ListQueues`, {
      signal: AbortSignal.timeout(probeTimeoutMs),
    });
    return (await response.text()).includes("ListQueuesResponse");
  }
}

function configuration(port: number): string {
  return `include classpath("application.conf")
node-address { protocol = http, host = "${host}", port = ${port}, context-path = "" }
rest-sqs { enabled = true, bind-port = ${port}, bind-hostname = "${host}", sqs-limits = strict }
rest-stats { enabled = false }
`;
}
