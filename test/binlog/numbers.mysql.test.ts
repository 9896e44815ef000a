/**
 * Random numbers, as the binlog's bytes give them and as the server writes them: doubles inside JSON,
 * and DECIMAL of every precision and scale, as a column and inside JSON.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { between, seededRandom } from "../support/random.ts";
import { cellsOf, SourceServer, versions, type RowsEvent } from "./source-server.ts";

const seed = Math.floor(Math.random() * 1e9);
const DOUBLES = 30_000;
const DECIMAL_ROWS = 12;
const PRECISION_MAX = 65;
const SCALE_MAX = 30;

describe.each(versions)(`random numbers of %s (seed ${seed})`, version => {
  let source: SourceServer;
  let random: () => number;

  beforeAll(async () => {
    random = seededRandom(seed);
    source = await SourceServer.start(version);
    await source.run("CREATE DATABASE t CHARACTER SET utf8mb4", "USE t");
  });
  afterAll(() => source.stop());

  test("doubles in JSON are written as CAST writes them", async () => {
    await source.run("CREATE TABLE doubles (id INT PRIMARY KEY, doc JSON)");
    const numbers = Array.from({ length: DOUBLES }, () => doubleText(random));
    const [event] = await source.rowsOf(`INSERT INTO doubles VALUES (1, '[${numbers.join(",")}]')`);
    const [row] = await source.select("SELECT CAST(doc AS CHAR) AS doc FROM doubles");
    const elements = (text: string): string[] => text.slice(1, -1).split(", ");
    const want = elements(String(row?.["doc"]));
    const got = elements(event?.rows.cell(0, "after", 1).toString() ?? "");
    expect(got).toHaveLength(DOUBLES);
    expect(want.flatMap((text, i) => (text === got[i] ? [] : [`${text}≠${got[i]}`]))).toEqual([]);
  });

  test("DECIMAL of every precision and scale is what SELECT says, in JSON too", async () => {
    const precisions = Array.from({ length: PRECISION_MAX }, (_, i) => i + 1);
    const wrong: string[] = [];
    for (const precision of precisions) {
      const scales = Array.from({ length: Math.min(SCALE_MAX, precision) + 1 }, (_, i) => i);
      const columns = scales.map(scale => `d${scale} DECIMAL(${precision},${scale})`);
      await source.run(
        "DROP TABLE IF EXISTS decimals, documents",
        `CREATE TABLE decimals (id INT PRIMARY KEY, ${columns.join(", ")})`,
        "CREATE TABLE documents (id INT PRIMARY KEY, doc JSON)",
      );
      const rows = Array.from({ length: DECIMAL_ROWS }, (_, id) => {
        const values = scales.map(scale => decimalText(random, precision, scale));
        return `(${id}, ${values.join(", ")})`;
      });
      const names = scales.map(scale => `d${scale}`).join(", ");
      const events = await source.rowsOf(
        `INSERT INTO decimals VALUES ${rows.join(", ")}`,
        `INSERT INTO documents SELECT id, JSON_ARRAY(${names}) FROM decimals ORDER BY id`,
      );
      const selected = await source.select("SELECT * FROM decimals ORDER BY id");
      const documents = await source.select("SELECT CAST(doc AS CHAR) AS doc FROM documents");
      const want = [
        ...selected.map(row => [row["id"], ...scales.map(scale => row[`d${scale}`])].join(" ")),
        ...documents.map(({ doc }, id) => `${id} ${String(doc)}`),
      ];
      const got = lines(events);
      if (want.length !== got.length) wrong.push(`${got.length} rows of precision ${precision}`);
      wrong.push(...want.filter((line, i) => line !== got[i]));
    }
    expect(wrong).toEqual([]);
  });
});

function lines(events: readonly RowsEvent[]): string[] {
  return events.flatMap(({ rows }) =>
    Array.from({ length: rows.count }, (_, row) => cellsOf(rows, row, "after").join(" ")),
  );
}

/** Any bits, or few digits of some magnitude, those included at which the exponent comes and goes. */
function doubleText(random: () => number): string {
  const bits = Buffer.alloc(8);
  do {
    bits.writeUInt32LE(between(random, 0, 2 ** 32 - 1), 0);
    bits.writeUInt32LE(between(random, 0, 2 ** 32 - 1), 4);
  } while (!Number.isFinite(bits.readDoubleLE(0)));
  if (random() < 0.3) return bits.readDoubleLE(0).toExponential();
  const digits = between(random, -(10 ** between(random, 1, 15)), 10 ** between(random, 1, 15));
  return `${digits}e${between(random, -34, 20)}`;
}

function decimalText(random: () => number, precision: number, scale: number): string {
  const length = between(random, 0, precision);
  const digit = random() < 0.3 ? (): number => 9 : (): number => between(random, 0, 9);
  const digits = Array.from({ length }, digit).join("").padStart(precision, "0");
  const sign = random() < 0.5 ? "-" : "";
  return `${sign}${digits.slice(0, precision - scale) || "0"}.${digits.slice(precision - scale)}`;
}
