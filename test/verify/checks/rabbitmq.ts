/** RabbitMQ as a destination: Tidemark killed, the broker killed and frozen, and what it carries. */
import type { Outcome } from "../campaign.ts";
import { RabbitmqDestination } from "../rabbitmq-destination.ts";
import type { CheckContext } from "./check.ts";
import { killedAt, outageOf, type DestinationFaults } from "./destination-faults.ts";

export async function sigkillRabbitmq(context: CheckContext): Promise<Outcome> {
  return killedAt(context, await faultsOf(context, "sigkill_rabbitmq"));
}

export async function outageRabbitmq(context: CheckContext): Promise<Outcome> {
  return outageOf(context, await faultsOf(context, "outage_rabbitmq"));
}

async function faultsOf({ servers }: CheckContext, name: string): Promise<DestinationFaults> {
  const destination = new RabbitmqDestination(await servers.rabbitmq());
  return { name, destination, setup: { rowsPerSecond: 1_500, sizes: "small" } };
}
