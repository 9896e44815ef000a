import { describe, expect, test } from "vitest";
import { seededRandom, between } from "../../tools/demo/random.ts";
import { Shelf } from "../../tools/demo/shelf.ts";
import { orders } from "../../tools/demo/tables.ts";

const image = (shelf: Shelf): string[] =>
  shelf
    .keys(orders)
    .map(key => `${JSON.stringify(key)}@${shelf.version(orders, key)}`)
    .sort();

describe("Shelf", () => {
  test("counts the versions of a key on where it is deleted and used again", () => {
    const shelf = new Shelf();
    expect(shelf.insert(orders, [1])).toBe(1);
    expect(shelf.update(orders, [1])).toBe(2);
    shelf.delete(orders, [1]);
    expect(shelf.insert(orders, [1])).toBe(3);
    const kinds = shelf.commit().map(({ kind, version }) => `${kind}${version}`);
    expect(kinds).toEqual(["insert1", "update2", "delete2", "insert3"]);
  });

  test("a new key begins after the old key's version", () => {
    const shelf = new Shelf();
    shelf.insert(orders, [1], 7);
    shelf.rekey(orders, [1], [2]);
    expect(image(shelf)).toEqual(["[2]@8"]);
    expect(shelf.has(orders, [1])).toBe(false);
  });

  test("goes back to a savepoint", () => {
    const shelf = new Shelf();
    shelf.insert(orders, [1]);
    const { drafted } = shelf;
    shelf.delete(orders, [1]);
    shelf.insert(orders, [2]);
    shelf.rollback(drafted);
    expect(image(shelf)).toEqual(["[1]@1"]);
    expect(shelf.commit()).toHaveLength(1);
  });

  // Whatever is done and taken back leaves no trace.
  test.each([1, 2, 3, 4, 5])("is after a rollback what it was before (seed %i)", seed => {
    const random = seededRandom(seed);
    const shelf = new Shelf();
    let fresh = 1_000;
    const step = (): void => {
      const key = [between(random, 1, 12)];
      const dice = random();
      if (!shelf.has(orders, key)) shelf.insert(orders, key);
      else if (dice < 0.4) shelf.update(orders, key);
      else if (dice < 0.7) shelf.delete(orders, key);
      else shelf.rekey(orders, key, [(fresh += 1)]);
    };
    for (let i = 0; i < 100; i += 1) {
      step();
      step();
      shelf.commit();
      const before = image(shelf);
      for (let steps = between(random, 1, 20); steps > 0; steps -= 1) step();
      shelf.rollback();
      expect(image(shelf)).toEqual(before);
      expect(shelf.commit()).toEqual([]);
    }
  });
});
