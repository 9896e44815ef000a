/** Where RabbitMQ comes from: Debian's package, whose programs are run without its service. */
import { existsSync } from "node:fs";
import { exitCodes, ServicesError } from "./failure.ts";
import { installMissing, type Requirement } from "./packages.ts";

const folder = "/usr/lib/rabbitmq/bin";

const rabbitmq: Requirement = {
  what: "RabbitMQ",
  package: "rabbitmq-server",
  present: () => existsSync(`${folder}/rabbitmq-server`),
};

export interface RabbitmqProgram {
  readonly server: string;
  readonly ctl: string;
  /** Erlang's name server, which every node needs. */
  readonly epmd: string;
}

export async function rabbitmqProgram(): Promise<RabbitmqProgram> {
  // Where systemd runs, installing the package would start a broker on all interfaces.
  if (!rabbitmq.present() && existsSync("/run/systemd/system")) {
    const message =
      `${rabbitmq.what} must be installed first: run "apt-get install ${rabbitmq.package}" as root, ` +
      'and "systemctl disable --now rabbitmq-server" unless a broker is wanted on this machine.';
    throw new ServicesError(message, exitCodes.unavailable);
  }
  await installMissing([rabbitmq]);
  return {
    server: `${folder}/rabbitmq-server`,
    ctl: `${folder}/rabbitmqctl`,
    epmd: "epmd",
  };
}
