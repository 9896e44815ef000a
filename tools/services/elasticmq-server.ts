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
import { SingleServer, started } from "./single-server.ts";

const probeTimeoutMs = 5_000;
const MAIN = "org.elasticmq.server.Main";

export async function launchElasticmq(): Promise<Elasticmq> {
  const classPath = await elasticmqProgram();
  return withFreshPorts(async () =>
    started(new Server(classPath, keptFolder("elasticmq"), await freePort())),
  );
}

class Server extends SingleServer implements Elasticmq {
  readonly host = host;
  readonly port: number;
  readonly url: string;

  constructor(classPath: string, dir: string, port: number) {
    const file = join(dir, "elasticmq.conf");
    const args = ["-Xmx512m", `-Dconfig.file=${file}`, "-cp", classPath, MAIN];
    const logFile = join(dir, "log");
    super(
      dir,
      new ServerProcess({ name: "elasticmq", command: "java", args, folder: dir, logFile }),
    );
    writeFileSync(file, configuration(port));
    this.port = port;
    this.url = `http://${host}:${port}`;
  }

  protected async answers(): Promise<boolean> {
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
