/** What SQS has to have: the queues, of the type that their names say, which take messages of our size. */
import { systemClock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import { fault, good, warning, type Finding } from "../core/finding.ts";
import { isFifoQueue, isQueueUrl } from "../core/queue-name.ts";
import { lookAtQueue, SqsClient, type SqsClientOptions } from "../sinks/sqs-client.ts";

export interface SqsPlace {
  readonly client: Omit<SqsClientOptions, "clock">;
  /** The template; without placeholders it is known whatever tables there are. */
  readonly queue: string;
  readonly maxMessageBytes: number;
}

const CONNECTION = "sqs.connection";
const QUEUES = "sqs.queues";

/**
 * @param destinations those that the captured tables lead to.
 * @throws TidemarkError if SQS does not answer, or refuses us.
 */
export async function sqsFindings(
  place: SqsPlace,
  destinations: readonly string[],
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const client = new SqsClient({ ...place.client, clock: systemClock });
  try {
    await client.load();
    const fixed = place.queue.includes("{") ? [] : [place.queue];
    const findings: Finding[] = [];
    for (const queue of new Set([...fixed, ...destinations])) {
      findings.push(...(await queueFindings(client, { ...place, queue }, signal)));
    }
    const isReached = findings.length > 0;
    return isReached ? [good(CONNECTION, "SQS answers."), ...findings] : findings;
  } finally {
    client.close();
  }
}

async function queueFindings(
  client: SqsClient,
  { queue, maxMessageBytes }: SqsPlace,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const name = queue.slice(queue.lastIndexOf("/") + 1);
  const url = isQueueUrl(queue) ? queue : undefined;
  try {
    const { fifo, maximumMessageSize } = await lookAtQueue(client, { name, url }, signal);
    if (fifo !== isFifoQueue(queue)) {
      const kind = fifo ? "a FIFO queue" : "no FIFO queue";
      const found = `Queue ${name} is ${kind}, and its name says otherwise.`;
      return [fault("SINK_SETTING", QUEUES, found, "sink.queue: another queue")];
    }
    if (maximumMessageSize >= maxMessageBytes) return [good(QUEUES, `Queue ${name} is there.`)];
    return [
      warning(
        QUEUES,
        `Queue ${name} takes messages of ${maximumMessageSize} bytes, and sink.max_message_bytes is ` +
          `${maxMessageBytes}: larger ones are refused.`,
        `aws sqs set-queue-attributes --queue-url <url> --attributes MaximumMessageSize=${maxMessageBytes}`,
      ),
    ];
  } catch (thrown) {
    if (thrown instanceof TidemarkError && thrown.code === "SINK_SETTING") {
      return [fault("SINK_SETTING", QUEUES, thrown.message, createStatement(name))];
    }
    throw thrown;
  }
}

function createStatement(name: string): string {
  const fifo = isFifoQueue(name) ? " --attributes FifoQueue=true" : "";
  return `aws sqs create-queue --queue-name ${name}${fifo}`;
}
