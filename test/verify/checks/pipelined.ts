/**
 * Killed with five requests under way to a broker, and brokers killed under it, one of three at a time.
 * A request carries at most one batch of a partition.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { withCampaign, type Campaign, type Outcome } from "../campaign.ts";
import { rounds } from "../options.ts";
import { progress } from "../progress.ts";
import { sleep } from "../wait.ts";
import type { CheckContext } from "./check.ts";
import { freezeAll } from "./sigkill.ts";

const KILLS = 200;
const BROKER_KILLS = 20;
const REQUESTS = 5;
/** Of the kills, those that found five requests under way: the others prove less. */
const FULL_SHARE_MIN = 0.3;
const FROZEN_SHARE = 0.7;

const preload = fileURLToPath(new URL("../in-flight.mjs", import.meta.url));

export async function pipelined({ options, servers, mutant }: CheckContext): Promise<Outcome> {
  const kafka = await servers.kafka(3);
  const kills = options.kills ?? rounds(options, KILLS, KILLS / 10);
  const brokerKills = Math.max(1, Math.round((kills * BROKER_KILLS) / KILLS));
  const setup = {
    ...{ name: "pipelined", options, mutant, kafka, mysql: await servers.mysql(), preload },
    rowsPerSecond: 2_000,
    partitions: 2,
  };
  const outcome = await withCampaign(setup, async campaign => {
    const { product, random, writer } = campaign;
    const found: number[] = [];
    await campaign.startReading();
    writer.start();
    await campaign.awaitDelivery(product.startedAtMs);
    let brokersKilled = 0;
    for (let kill = 0; kill < kills; kill += 1) {
      await sleep(random.int(20, 1_500));
      if (random.chance(FROZEN_SHARE)) {
        await freezeAll(campaign, async () => {
          await sleep(random.int(100, 800));
          found.push(await killNow(campaign));
        });
      } else {
        found.push(await killNow(campaign));
      }
      await campaign.countKill();
      await sleep(random.int(0, 400));
      product.start();
      if (random.chance(1 / 6)) await sleep(random.int(50, 1_500));
      else await campaign.awaitDelivery(product.startedAtMs);
      if (brokersKilled < Math.floor(((kill + 1) * brokerKills) / kills)) {
        brokersKilled += 1;
        await brokerKilled(campaign, brokersKilled);
      }
    }
    const full = found.filter(count => count >= REQUESTS).length;
    return campaign.finish({
      extra: {
        broker_kills: brokersKilled,
        requests_in_flight_max: Math.max(...found),
        kills_with_five_in_flight: full,
      },
      conditions: {
        pipelined: Math.max(...found) === REQUESTS && full >= kills * FULL_SHARE_MIN,
        brokers_killed: brokersKilled === brokerKills,
      },
    });
  });
  await servers.stopThree();
  return outcome;
}

/** SIGKILL. Returns how many requests were under way on one connection. */
async function killNow(campaign: Campaign): Promise<number> {
  campaign.assertRunning();
  await campaign.product.kill();
  return readFileSync(join(campaign.dir, "requests-in-flight"))[0] ?? 0;
}

/** Under load, until what is written while it is down, and once it is back, arrives. */
async function brokerKilled(campaign: Campaign, number: number): Promise<void> {
  const { setup, random } = campaign;
  const node = random.pick(setup.kafka?.nodes ?? []);
  progress(`pipelined: broker ${node.id} of three killed, ${number}.`);
  if (!campaign.product.isRunning) throw new Error("Nothing runs that could notice.");
  await campaign.awaitDelivery(performance.now());
  node.kill("SIGKILL");
  await campaign.observe();
  await campaign.awaitDelivery(performance.now());
  await sleep(random.int(0, 2_000));
  await node.start();
  await campaign.observe();
  await campaign.awaitDelivery(performance.now());
}
