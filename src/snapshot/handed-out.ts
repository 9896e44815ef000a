/** What the stream has handed out: where it stands, and which transactions are behind it. */
import { binlogFileNumber } from "../core/checkpoint.ts";
import type { Entry } from "../core/entry.ts";
import type { Mark } from "../core/entry.ts";
import { GtidSet } from "../core/gtid-set.ts";

/** No server commits more transactions at the same time. */
const RECENT_MAX = 16_384;

export class HandedOut {
  readonly #gtids = GtidSet.parse("");
  /** What the server may not have in gtid_executed yet: a commit is in the binlog before. */
  readonly #recent: string[] = [];
  #passed = 0;
  #mark: Mark;

  /** @param start where the stream begins. */
  constructor(start: Mark) {
    this.#mark = start;
  }

  note({ mark }: Entry): void {
    this.#mark = mark;
    for (const gtid of mark.gtids) this.#gtids.add(gtid);
  }

  /** Handed out while nothing is copied: the newest transactions are enough, and cost less than a set. */
  pass(entries: readonly Entry[]): void {
    for (const { mark } of entries) {
      this.#mark = mark;
      for (const gtid of mark.gtids) {
        this.#recent[this.#passed % RECENT_MAX] = gtid;
        this.#passed += 1;
      }
    }
  }

  /** From now on all are noted. */
  begin(): void {
    for (const gtid of this.#recent) this.#gtids.add(gtid);
    this.#recent.length = 0;
    this.#passed = 0;
  }

  get mark(): Mark {
    return this.#mark;
  }

  /** No transaction is open. */
  get isBetween(): boolean {
    return this.#mark.transaction === undefined;
  }

  hasPassed({ file, position }: { readonly file: string; readonly position: number }): boolean {
    const { boundary } = this.#mark;
    if (boundary.file === "") return false;
    const files = binlogFileNumber(boundary.file) - binlogFileNumber(file);
    return files > 0 || (files === 0 && boundary.position >= position);
  }

  /** All that was noted, the transaction that is under way included. */
  get gtids(): string {
    const open = this.#mark.transaction?.id;
    const done = this.#gtids.toString();
    return open === undefined || !isGtid(open) ? done : joinSets(done, open);
  }
}

/** Without GTIDs the id of a transaction is a place in a file. */
function isGtid(id: string): boolean {
  return !id.includes("/");
}

/** Sets as the server reads them. */
export function joinSets(...sets: readonly string[]): string {
  return sets.filter(set => set !== "").join(",");
}
