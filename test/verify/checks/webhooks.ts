/** Webhooks under the faults that every destination has to stand. */
import type { Outcome } from "../campaign.ts";
import { WebhookDestination } from "../webhook-destination.ts";
import type { CheckContext } from "./check.ts";
import { killedAt, outageOf, type DestinationFaults } from "./destination-faults.ts";

async function faults(name: string): Promise<DestinationFaults> {
  const destination = await new WebhookDestination().start();
  // A request for each row, and a receiver that writes it down before it answers.
  return { name, destination, setup: { rowsPerSecond: 400, sizes: "small", backlogMax: 10_000 } };
}

export async function sigkillWebhook(context: CheckContext): Promise<Outcome> {
  return killedAt(context, await faults("sigkill_webhook"));
}

export async function outageWebhook(context: CheckContext): Promise<Outcome> {
  return outageOf(context, await faults("outage_webhook"));
}
