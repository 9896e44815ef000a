/** The faults that every destination has to stand: Tidemark killed, the destination away or frozen. */
import { withCampaign, type Campaign, type CampaignSetup, type Outcome } from "../campaign.ts";
import type { Destination } from "../destination.ts";
import { rounds, stallMs } from "../options.ts";
import { progress } from "../progress.ts";
import { sleep } from "../wait.ts";
import type { CheckContext } from "./check.ts";
import { killedAgainAndAgain } from "./sigkill.ts";

export interface DestinationFaults {
  readonly name: string;
  readonly destination: Destination;
  /** What two cores can carry there, its plain reader included. */
  readonly setup: Pick<CampaignSetup, "rowsPerSecond" | "sizes" | "backlogMax" | "aliveMax">;
}

const RECOVERY_MAX_MS = 15_000;

export function killedAt(context: CheckContext, faults: DestinationFaults): Promise<Outcome> {
  const { options } = context;
  const { name, destination, setup } = faults;
  const kills = options.kills ?? rounds(options, 20);
  return killedAgainAndAgain(context, { name, kills, destination, ...setup, ddl: false });
}

/** Down for 30 s, then frozen for 30 s, under load. */
export async function outageOf(
  { options, servers, mutant }: CheckContext,
  { name, destination, setup }: DestinationFaults,
): Promise<Outcome> {
  const mysql = await servers.mysql();
  const whole = { name, options, mutant, mysql, destination, ...setup, ddl: false };
  return withCampaign(whole, async campaign => {
    const { product, writer } = campaign;
    await campaign.startReading();
    writer.start();
    await campaign.awaitDelivery(product.startedAtMs);

    progress(`${name}: down`);
    await observed(campaign);
    await destination.down();
    await sleep(stallMs(options, 30_000));
    await destination.up();
    const down = await recovered(campaign);

    progress(`${name}: frozen`);
    await observed(campaign);
    destination.freeze("SIGSTOP");
    await sleep(stallMs(options, 30_000));
    destination.freeze("SIGCONT");
    const frozen = await recovered(campaign);

    return campaign.finish({
      extra: { recovery_down_ms: down, recovery_frozen_ms: frozen },
      conditions: { recovers_in_time: Math.max(down, frozen) <= RECOVERY_MAX_MS },
    });
  });
}

/** Under load for a while, and what has arrived is read: what comes next is new. */
async function observed(campaign: Campaign): Promise<void> {
  await sleep(2_000);
  await campaign.observe();
}

/** Milliseconds until something new arrives. */
async function recovered(campaign: Campaign): Promise<number> {
  campaign.assertRunning();
  return Math.round(await campaign.awaitDelivery(performance.now()));
}
