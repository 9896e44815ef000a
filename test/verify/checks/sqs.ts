/** What holds for SQS: killed again and again, and the queue away or frozen. */
import { combined, type Outcome } from "../campaign.ts";
import { SqsDestination } from "../sqs-destination.ts";
import type { CheckContext } from "./check.ts";
import { killedAt, outageOf, type DestinationFaults } from "./destination-faults.ts";

async function queueOf(
  { servers }: CheckContext,
  { name, fifo }: { name: string; fifo: boolean },
): Promise<DestinationFaults> {
  return {
    name,
    destination: await SqsDestination.create(await servers.elasticmq(), { fifo }),
    setup: { rowsPerSecond: 150, sizes: "small", backlogMax: 6_000, aliveMax: 2_000 },
  };
}

/** A FIFO queue drops what is sent again; every restart is within four minutes. */
export async function sigkillSqs(context: CheckContext): Promise<Outcome> {
  const outcome = await killedAt(context, await queueOf(context, { name: "sqs", fifo: true }));
  const ok = outcome.ok && outcome.figures["repeated"] === 0;
  return { ...outcome, ok };
}

/** Of a FIFO queue and of a standard one, which promises no order. */
export async function outageSqs(context: CheckContext): Promise<Outcome> {
  const fifo = await outageOf(context, await queueOf(context, { name: "sqs_fifo", fifo: true }));
  if (!fifo.ok) return fifo;
  const standard = { name: "sqs_standard", fifo: false };
  return combined([fifo, await outageOf(context, await queueOf(context, standard))]);
}
