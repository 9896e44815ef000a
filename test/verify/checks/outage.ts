/** Each destination down for 30 s, and then frozen for 30 s, under load. */
import { combined, type Outcome } from "../campaign.ts";
import type { CheckContext } from "./check.ts";
import { outageRabbitmq } from "./rabbitmq.ts";
import { outageSqs } from "./sqs.ts";
import { outageWebhook } from "./webhooks.ts";

const parts = [outageSqs, outageRabbitmq, outageWebhook];

export async function outage(context: CheckContext): Promise<Outcome> {
  const outcomes: Outcome[] = [];
  for (const part of parts) outcomes.push(await part(context));
  return combined(outcomes);
}
