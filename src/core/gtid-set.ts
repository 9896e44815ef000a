/**
 * Which transactions are done: a GTID set of MySQL, or MariaDB's position of one GTID per domain.
 *
 * A thin face over the classes that come with zongji, which are exact over the whole 64-bit range and
 * know tagged GTIDs (MySQL 8.3 and newer).
 */
import { GtidSet as MysqlGtidSet, MariadbGtidPosition } from "@vlasky/zongji";
import { assert, TidemarkError } from "./errors.ts";

interface Model {
  add(gtid: string): void;
  contains(gtid: string): boolean;
  isEmpty(): boolean;
  toString(): string;
  /** MySQL's only. */
  encode?: () => Buffer;
}

/** One GTID a domain, `0-1-42`: those of MySQL hold colons. */
const MARIADB = /^\s*\d+-\d+-\d+\s*(,|$)/;

export function isMariadbGtid(text: string): boolean {
  return MARIADB.test(text);
}

export class GtidSet {
  /** An empty set becomes one of the server whose transaction is added first. */
  #model: Model;

  private constructor(model: Model) {
    this.#model = model;
  }

  /**
   * Reads the text of `@@gtid_executed`, or of MariaDB's `@@gtid_binlog_pos`; "" is the empty set of either.
   *
   * @throws TidemarkError POSITION_UNUSABLE if it is not such a text.
   */
  static parse(text: string): GtidSet {
    return guard(text, () => new GtidSet(modelOf(text.trim(), isMariadbGtid(text))));
  }

  /**
   * Adds one transaction: `uuid:17`, `uuid:tag:17`, or of MariaDB `0-1-17`, which stands for everything
   * before it in its domain too.
   */
  add(gtid: string): void {
    guard(gtid, () => {
      if (this.#model.isEmpty()) this.#model = modelOf("", isMariadbGtid(gtid));
      this.#model.add(gtid);
    });
  }

  contains(gtid: string): boolean {
    return guard(gtid, () => !this.#model.isEmpty() && this.#model.contains(gtid));
  }

  isEmpty(): boolean {
    return this.#model.isEmpty();
  }

  /** The form in which MySQL's dump command carries it. */
  encode(): Buffer {
    assert(this.#model.encode !== undefined, "MariaDB's positions have no such form");
    return this.#model.encode();
  }

  /** The canonical text: sorted, with neighbouring intervals joined. */
  toString(): string {
    return this.#model.toString();
  }
}

function modelOf(text: string, isMariadb: boolean): Model {
  return isMariadb ? mariadbModel(text) : MysqlGtidSet.parse(text);
}

function mariadbModel(text: string): Model {
  const position = MariadbGtidPosition.parse(text);
  return {
    add: gtid => {
      position.covers(gtid); // Throws for what is not one GTID; `add` itself checks nothing.
      const [domainId = "", serverId = "", seqNo = ""] = gtid.trim().split("-");
      position.add({ domainId: Number(domainId), serverId: Number(serverId), seqNo });
    },
    contains: gtid => position.covers(gtid),
    isEmpty: () => position.isEmpty(),
    toString: () => position.toString(),
  };
}

function guard<T>(text: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw new TidemarkError("POSITION_UNUSABLE", `"${text}" is not a valid GTID set.`, { cause });
  }
}
