import { expect, test } from "vitest";
import { compare, type Arrived } from "../verify/seeds/compare.ts";

const expected = new Map([
  ["queue", ["a", "b", "c", "d"]],
  ["other", ["x"]],
]);
const x: Arrived = { lane: "other", id: "x", text: "x" };
const sound = { lost: 0, wrong: 0, outOfOrder: 0, repeated: 0, firstDifference: undefined };

/** Each is its own id, or `id:text`. */
function arrivals(...words: readonly string[]): readonly Arrived[] {
  const queue = words.map(word => {
    const [id = "", text = id] = word.split(":");
    return { lane: "queue", id, text };
  });
  return [...queue, x];
}

test("what had to arrive arrived", () => {
  expect(compare(expected, arrivals("a", "b", "c", "d"))).toEqual(sound);
});

test("a run that comes again is no fault", () => {
  const repeated = arrivals("a", "b", "c", "b", "c", "d");
  expect(compare(expected, repeated)).toEqual({ ...sound, repeated: 2 });
});

test.each<[string, readonly Arrived[], object]>([
  ["the last is missing", arrivals("a", "b", "c"), { lost: 1 }],
  ["one in the middle is missing", arrivals("a", "c", "d"), { lost: 1, wrong: 2 }],
  ["two changed places", arrivals("a", "c", "b", "d"), { wrong: 2 }],
  ["one too many", arrivals("a", "b", "c", "d", "e"), { wrong: 1 }],
  ["another content", arrivals("a", "b:B", "c", "d"), { wrong: 1 }],
  ["a repeat with another content", arrivals("a", "b", "b:B", "c", "d"), { wrong: 1, repeated: 1 }],
  ["an older one at the end", arrivals("a", "b", "c", "d", "b"), { outOfOrder: 1, repeated: 1 }],
  ["a gap in a repeat", arrivals("a", "b", "c", "a", "d"), { outOfOrder: 1, repeated: 1 }],
  [
    "of a lane that nobody asked for",
    [...arrivals("a", "b", "c", "d"), { ...x, lane: "?" }],
    { wrong: 1 },
  ],
])("%s", (_, arrived, fault) => {
  const { firstDifference, ...figures } = compare(expected, arrived);
  const { firstDifference: none, ...zero } = sound;
  expect(none).toBeUndefined();
  expect(figures).toEqual({ ...zero, ...fault });
  if (figures.lost + figures.wrong > 0) expect(firstDifference).toBeTypeOf("string");
});
