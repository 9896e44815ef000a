/** What SQS takes as the name of a queue, and as its address. */

const LENGTH_MAX = 80;
const FIFO = ".fifo";

/** A queue is named, or given by its whole URL; the last part of that is its name. */
export function isQueueUrl(queue: string): boolean {
  return /^https?:\/\//.test(queue);
}

/** SQS tells FIFO queues by their names alone. */
export function isFifoQueue(queue: string): boolean {
  return queue.endsWith(FIFO);
}

/** What is wrong with a queue's name or URL; undefined if nothing is. */
export function queueFault(queue: string): string | undefined {
  const name = isQueueUrl(queue) ? queue.slice(queue.lastIndexOf("/") + 1) : queue;
  if (isQueueUrl(queue)) {
    const isPlain =
      URL.canParse(queue) && !/[?#@\s]/.test(queue) && new URL(queue).pathname !== "/";
    if (!isPlain) return "expected the URL of a queue, without a user and without a query";
  }
  const base = isFifoQueue(name) ? name.slice(0, -FIFO.length) : name;
  if (!/^[A-Za-z0-9_-]+$/.test(base)) {
    return "a queue name can have A-Z, a-z, 0-9, - and _ only, and .fifo at its end";
  }
  if (name.length > LENGTH_MAX) {
    return `it has ${name.length} characters, a queue name at most ${LENGTH_MAX}`;
  }
  return undefined;
}
