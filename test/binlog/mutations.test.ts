import { describe, expect, test } from "vitest";
import { EventMutations } from "../support/event-mutations.ts";

describe("recorded events", () => {
  const mutations = new EventMutations();

  test("hold what they are meant to", () => {
    const kinds = new Set(mutations.whole().map(({ kind }) => kind));
    expect(kinds).toEqual(new Set(["file", "gtid", "begin", "rows", "commit", "statement"]));
  });

  test("do not turn checksums off by becoming another first event of the file", () => {
    expect(mutations.run(121_438, 1)).toMatchObject({ refused: 1, findings: [] });
  });

  test("that are damaged at random give a typed error, or rows; never anything else", () => {
    const { findings, refused, taken, slowestMs } = mutations.run(1, 20_000);
    expect(findings).toEqual([]);
    expect(refused).toBeGreaterThan(5_000);
    expect(taken).toBeGreaterThan(500);
    expect(slowestMs).toBeLessThan(2_000);
  });
});
