/**
 * Kafka away under load: a broker that is down, a broker that is frozen, one of three that is killed.
 * Tidemark waits, in bounded memory, and goes on soon after the broker is back.
 */
import { combined, withCampaign, type Campaign, type Outcome } from "../campaign.ts";
import { stallMs } from "../options.ts";
import { progress } from "../progress.ts";
import { sleep } from "../wait.ts";
import type { CheckContext } from "./check.ts";

const RECOVERY_MAX_MS = 15_000;

export async function broker(context: CheckContext): Promise<Outcome> {
  const one = await brokerAway(context);
  if (!one.ok) return one;
  const three = await oneOfThree(context);
  await context.servers.stopThree();
  return combined([one, three]);
}

/** Down for 60 s, then frozen for 30 s. */
export async function brokerAway({ options, servers, mutant }: CheckContext): Promise<Outcome> {
  const kafka = await servers.kafka(1);
  const [node] = kafka.nodes;
  if (!node) throw new Error("A cluster without brokers.");
  const setup = {
    ...{ name: "broker", options, mutant, kafka, mysql: await servers.mysql() },
    rowsPerSecond: 1_500,
    backlogMax: 200_000,
  };
  return withCampaign(setup, async campaign => {
    const { product, writer } = campaign;
    await campaign.startReading();
    writer.start();
    await campaign.awaitDelivery(product.startedAtMs);
    await sleep(2_000);

    progress("broker: killed");
    node.kill("SIGKILL");
    await sleep(stallMs(options, 60_000));
    await node.start();
    campaign.assertRunning();
    const down = await recovered(campaign);

    await sleep(2_000);
    progress("broker: frozen");
    node.kill("SIGSTOP");
    await sleep(stallMs(options, 30_000));
    // Before anything can fail: other checks need it too.
    node.kill("SIGCONT");
    campaign.assertRunning();
    const frozen = await recovered(campaign);

    return campaign.finish({
      extra: { recovery_down_ms: down, recovery_frozen_ms: frozen },
      conditions: { recovers_in_time: Math.max(down, frozen) <= RECOVERY_MAX_MS },
    });
  });
}

async function oneOfThree({ options, servers, mutant }: CheckContext): Promise<Outcome> {
  const kafka = await servers.kafka(3);
  const setup = {
    ...{ name: "three", options, mutant, kafka, mysql: await servers.mysql() },
    commitLogTopic: "tidemark.commit-log",
    rowsPerSecond: 800,
  };
  return withCampaign(setup, async campaign => {
    const { product, random, writer } = campaign;
    await campaign.startReading();
    writer.start();
    await campaign.awaitDelivery(product.startedAtMs);
    await sleep(2_000);
    const node = random.pick(kafka.nodes);
    progress(`broker: node ${node.id} of three killed`);
    node.kill("SIGKILL");
    // The other two go on, after the election.
    const tookMs = await recovered(campaign);
    await sleep(stallMs(options, 20_000));
    campaign.assertRunning();
    await node.start();
    const backMs = await recovered(campaign);
    return campaign.finish({
      extra: { recovery_election_ms: tookMs },
      conditions: { recovers_in_time: backMs <= RECOVERY_MAX_MS },
    });
  });
}

/** Milliseconds until something written after now arrives. */
async function recovered(campaign: Campaign): Promise<number> {
  const since = performance.now();
  // What arrived before is taken in first, so that only what comes now counts.
  await campaign.observe();
  return Math.round(await campaign.awaitDelivery(since));
}
