/**
 * Killed again and again under load, at any moment: while it starts, compares tails, reads the middle of
 * a large transaction, or waits for acknowledgements.
 */
import { withCampaign, type Campaign, type CampaignSetup, type Outcome } from "../campaign.ts";
import { rounds } from "../options.ts";
import { sleep } from "../wait.ts";
import type { CheckContext } from "./check.ts";

type Setup = "destination" | "rowsPerSecond" | "sizes" | "backlogMax" | "aliveMax" | "ddl";

export interface KillOptions extends Pick<CampaignSetup, Setup> {
  readonly name: string;
  readonly kills: number;
  readonly commitLog?: "kafka" | "file";
  /** Kills at which the broker has stood still for a while, so that what is sent cannot be acknowledged. */
  readonly frozenShare?: number;
}

export function sigkill(context: CheckContext): Promise<Outcome> {
  const { options } = context;
  return killedAgainAndAgain(context, {
    name: "sigkill",
    kills: options.kills ?? rounds(options, 50, 5),
  });
}

export async function killedAgainAndAgain(
  { options, servers, mutant }: CheckContext,
  { name, kills, frozenShare = 1 / 8, ...writing }: KillOptions,
): Promise<Outcome> {
  const setup = {
    ...{ name, options, mutant, ...writing },
    mysql: await servers.mysql(),
    kafka: !writing.destination && options.target === "kafka" ? await servers.kafka(1) : undefined,
  };
  return withCampaign(setup, async campaign => {
    const { product, random, writer } = campaign;
    await campaign.startReading();
    writer.start();
    await campaign.awaitDelivery(product.startedAtMs);
    for (let kill = 0; kill < kills; kill += 1) {
      await sleep(random.int(20, 2_500));
      if (random.chance(frozenShare)) await killFrozen(campaign);
      else await campaign.kill();
      await sleep(random.int(0, 600));
      product.start();
      // One in six is killed wherever its start has come to by then.
      if (random.chance(1 / 6)) await sleep(random.int(50, 1_500));
      else await campaign.awaitDelivery(product.startedAtMs);
    }
    return campaign.finish();
  });
}

async function killFrozen(campaign: Campaign): Promise<void> {
  if (!campaign.setup.kafka && !campaign.setup.destination) {
    await campaign.kill();
    return;
  }
  campaign.assertRunning();
  await freezeAll(campaign, async () => {
    await sleep(campaign.random.int(200, 1_000));
    await campaign.product.kill();
  });
  await campaign.countKill();
}

/** Stops every server of the destination while something is done. */
export async function freezeAll(
  { setup }: Campaign,
  meanwhile: () => Promise<void>,
): Promise<void> {
  const freeze = (signal: "SIGSTOP" | "SIGCONT"): void => {
    for (const node of setup.kafka?.nodes ?? []) node.kill(signal);
    setup.destination?.freeze(signal);
  };
  freeze("SIGSTOP");
  try {
    await meanwhile();
  } finally {
    freeze("SIGCONT");
  }
}
