import { connect } from "amqplib";
import { afterAll, expect, test } from "vitest";
import { startRabbitmq, stopAll } from "../../tools/services/services.ts";

afterAll(stopAll);

test("keeps durable messages over a SIGKILL, on the same port, and obeys rabbitmqctl", async () => {
  const rabbitmq = await startRabbitmq({ config: { heartbeat: "7" } });
  const before = await connect(rabbitmq.url);
  before.on("error", () => undefined);
  const channel = await before.createConfirmChannel();
  await channel.assertQueue("orders");
  channel.sendToQueue("orders", Buffer.from("a"), { persistent: true });
  await channel.waitForConfirms();
  // Which queues there are it writes within seconds only.
  await rabbitmq.ctl("eval", "mnesia:sync_log().");
  rabbitmq.kill("SIGKILL");
  await rabbitmq.start();
  const after = await connect(rabbitmq.url);
  const message = await (await after.createChannel()).get("orders", { noAck: true });
  expect(message !== false && message.content.toString()).toBe("a");
  await after.close();
  expect(await rabbitmq.ctl("environment")).toContain("{heartbeat,7}");
});
