/**
 * What a RabbitMQ broker has to have: the vhost, the exchange, and queues where they can be known. What
 * is bound to an exchange cannot be asked for; a message that no queue takes is refused when it comes.
 */
import { systemClock } from "../core/clock.ts";
import { fault, good, type Finding } from "../core/finding.ts";
import { toRabbitmqError } from "../sinks/rabbitmq-errors.ts";
import { RabbitmqSession, type RabbitmqPlace } from "../sinks/rabbitmq-session.ts";

/**
 * @param routingKeys those that the captured tables lead to.
 * @throws TidemarkError if the broker does not answer, or refuses us or what we name.
 */
export async function rabbitmqFindings(
  place: RabbitmqPlace,
  routingKeys: readonly string[],
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const { server, exchange, declare } = place;
  const address = `${server.host}:${server.port}`;
  try {
    const options = { ...place, clock: systemClock, looksOnly: true };
    const session = await RabbitmqSession.open(options, undefined, signal);
    try {
      const found = [good("rabbitmq.connection", `RabbitMQ answers at ${address}.`)];
      // The default exchange leads to the queue of that name, and to no other.
      if (exchange !== "" || declare.queues) return found;
      for (const name of routingKeys) found.push(await queueFinding(session, name));
      return found;
    } finally {
      await session.close();
    }
  } catch (thrown) {
    throw toRabbitmqError(thrown, `Asking RabbitMQ at ${address}`, "start");
  }
}

async function queueFinding(session: RabbitmqSession, name: string): Promise<Finding> {
  const check = "rabbitmq.queues";
  if (await session.hasQueue(name)) return good(check, `Queue ${name} is there.`);
  return fault(
    "SINK_SETTING",
    check,
    `There is no queue ${name}, so RabbitMQ would refuse its messages.`,
    "sink.declare.queues: true  # or make the queue, or name an exchange that has queues",
  );
}
