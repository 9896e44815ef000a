/**
 * How much of a transaction that was half delivered can be passed over on another server than the one it
 * was read from. A replica logs the rows of a table without a key in an order of its own: so they are read
 * there once, for their checksums alone, before the first is dropped.
 */
import { crcOfRows } from "../binlog/assembler.ts";
import { Definitions, DefinitionsMissing } from "../binlog/definitions.ts";
import type { BinlogEvent, TableFilter } from "../binlog/reader.ts";
import type { MysqlServer } from "../binlog/server.ts";
import type { SourcePosition, TablePart, TransactionPart } from "../core/checkpoint.ts";
import { GtidSet } from "../core/gtid-set.ts";
import { tableId } from "../core/rows.ts";

type Counted = { -readonly [K in keyof TablePart]: TablePart[K] };

/**
 * The tables of which the server has logged the same rows as were delivered.
 *
 * @returns undefined if there is none, or if the transaction is not the next in its binlog.
 */
export async function partOnServer(
  server: MysqlServer,
  position: SourcePosition,
  wants: TableFilter,
): Promise<TransactionPart | undefined> {
  const part = position.transaction;
  if (part === undefined) return undefined;
  const definitions = new Definitions(server, wants);
  const stop = new AbortController();
  try {
    for (;;) {
      try {
        const start = { kind: "gtid-set", gtidSet: position.gtidSet } as const;
        const stream = server.scan(start, stop.signal, { wants, definitions });
        const found = await countRows(stream, part, GtidSet.parse(position.gtidSet));
        return found && sameRows(part, found);
      } catch (thrown) {
        if (!(thrown instanceof DefinitionsMissing)) throw thrown;
        await definitions.load(thrown, stop.signal);
      }
    }
  } finally {
    stop.abort();
  }
}

/** By table, as many rows as were delivered; undefined if another transaction comes first. */
async function countRows(
  stream: AsyncIterable<readonly BinlogEvent[]>,
  part: TransactionPart,
  done: GtidSet,
): Promise<ReadonlyMap<string, Counted> | undefined> {
  const counted = new Map(Object.keys(part.tables).map(name => [name, { rows: 0, crc: 0 }]));
  let isInside = false;
  for await (const events of stream) {
    for (const event of events) {
      if (event.kind === "gtid") {
        if (isInside) return counted;
        isInside = event.gtid === part.id;
        const isDone = event.gtid !== undefined && done.contains(event.gtid);
        if (!isInside && !isDone) return undefined;
      } else if (event.kind === "rows" && isInside) {
        add(event.rows, part, counted);
        if ([...counted].every(([name, { rows }]) => rows >= (part.tables[name]?.rows ?? 0))) {
          return counted;
        }
      } else if (event.kind === "commit" && isInside) {
        return counted;
      }
    }
  }
  return counted;
}

function add(
  rows: Extract<BinlogEvent, { kind: "rows" }>["rows"],
  { tables }: TransactionPart,
  counted: ReadonlyMap<string, Counted>,
): void {
  const name = tableId(rows.table);
  const known = counted.get(name);
  const wanted = tables[name]?.rows ?? 0;
  if (known === undefined || known.rows >= wanted) return;
  const count = Math.min(rows.count, wanted - known.rows);
  known.crc = crcOfRows(rows, 0, count, known.crc);
  known.rows += count;
}

function sameRows(
  { id, tables }: TransactionPart,
  counted: ReadonlyMap<string, Counted>,
): TransactionPart | undefined {
  const same = Object.entries(tables).filter(([name, { rows, crc }]) => {
    const found = counted.get(name);
    return found?.rows === rows && found.crc === crc;
  });
  return same.length === 0 ? undefined : { id, tables: Object.fromEntries(same) };
}
