/** What arrived, message by message, against what had to. */

export interface Arrived {
  /** Messages of one lane have to come in order: a queue, a topic and key, a route and key. */
  readonly lane: string;
  readonly id: string;
  /** The whole message, but for the time at which it was made. */
  readonly text: string;
}

export interface Comparison {
  readonly lost: number;
  /** Messages that differ from the one that had to stand in their place, or for which there was none. */
  readonly wrong: number;
  /** A message behind one that it had to follow, or an older one at the end. */
  readonly outOfOrder: number;
  /** Messages that had arrived before, with the same id and content. */
  readonly repeated: number;
  /** The first difference, for people. */
  readonly firstDifference: string | undefined;
}

interface Lane {
  readonly expected: readonly string[];
  readonly numbers: Map<string, number>;
  last: number;
}

export function compare(
  expected: ReadonlyMap<string, readonly string[]>,
  arrived: readonly Arrived[],
): Comparison {
  const lanes = new Map<string, Lane>(
    Array.from(expected, ([name, texts]) => [
      name,
      { expected: texts, numbers: new Map(), last: -1 },
    ]),
  );
  let [wrong, outOfOrder, repeated] = [0, 0, 0];
  let firstDifference: string | undefined;
  for (const { lane: name, id, text } of arrived) {
    const lane = lanes.get(name) ?? { expected: [], numbers: new Map<string, number>(), last: -1 };
    lanes.set(name, lane);
    const known = lane.numbers.get(id);
    const number = known ?? lane.numbers.size;
    lane.numbers.set(id, number);
    if (known !== undefined) repeated += 1;
    // After a repeat, everything behind it comes again, too.
    if (number > lane.last + 1) outOfOrder += 1;
    lane.last = number;
    if (text === lane.expected[number]) continue;
    wrong += 1;
    firstDifference ??= `${name}, ${id}: ${text}, and not ${lane.expected[number] ?? "anything"}`;
  }
  let lost = 0;
  for (const [name, lane] of lanes) {
    const missing = Math.max(0, lane.expected.length - lane.numbers.size);
    lost += missing;
    if (missing > 0) firstDifference ??= `${name}: ${lane.expected[lane.numbers.size]} is missing`;
    if (missing === 0 && lane.last < lane.expected.length - 1) outOfOrder += 1;
  }
  return { lost, wrong, outOfOrder, repeated, firstDifference };
}

/** Adds to the messages of a lane. */
export function push(lanes: Map<string, string[]>, lane: string, text: string): void {
  const texts = lanes.get(lane);
  if (texts === undefined) lanes.set(lane, [text]);
  else texts.push(text);
}
