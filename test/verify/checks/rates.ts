/** Each destination beside its bare client, with the same messages and in the same run. */
import { combined, type Outcome } from "../campaign.ts";
import type { CheckContext } from "./check.ts";
import { ratesRabbitmq } from "./rabbitmq-rates.ts";
import { ratesSqs } from "./sqs-rates.ts";
import { ratesWebhook } from "./webhook-rates.ts";

const parts = [ratesSqs, ratesRabbitmq, ratesWebhook];

export async function rates(context: CheckContext): Promise<Outcome> {
  const outcomes: Outcome[] = [];
  for (const part of parts) outcomes.push(await part(context));
  return combined(outcomes);
}
