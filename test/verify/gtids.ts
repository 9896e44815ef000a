/**
 * GTID sets, read by the oracle in its own way: nothing here is shared with the program under test.
 * Tags are read, kept apart from untagged transactions, and never written by the campaign's writer.
 */
export class GtidRanges {
  /** `uuid` or `uuid:tag` → pairs of first and last, ascending. */
  readonly #ranges = new Map<string, [number, number][]>();

  constructor(text: string) {
    for (const part of text.replace(/\s/g, "").split(",")) {
      if (part === "") continue;
      const [uuid = "", ...rest] = part.split(":");
      let source = uuid.toLowerCase();
      for (const piece of rest) {
        const interval = /^(\d+)(?:-(\d+))?$/.exec(piece);
        if (!interval) {
          source = `${uuid.toLowerCase()}:${piece}`;
          continue;
        }
        const ranges = this.#ranges.get(source) ?? [];
        ranges.push([Number(interval[1]), Number(interval[2] ?? interval[1])]);
        this.#ranges.set(source, ranges);
      }
    }
    for (const ranges of this.#ranges.values()) ranges.sort((a, b) => a[0] - b[0]);
  }

  has(gtid: string): boolean {
    const colon = gtid.lastIndexOf(":");
    const ranges = this.#ranges.get(gtid.slice(0, colon).toLowerCase());
    const number = Number(gtid.slice(colon + 1));
    if (!ranges) return false;
    let low = 0;
    let high = ranges.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const [first, last] = ranges[middle] ?? [0, 0];
      if (number < first) high = middle - 1;
      else if (number > last) low = middle + 1;
      else return true;
    }
    return false;
  }
}
