/** What the rates of the destinations have in common. */
import type { Mysql } from "../../../tools/services/services.ts";
import { withConnection } from "../servers.ts";

const ROWS_A_STATEMENT = 100;

/** Rows of one message each, all of them in the binlog before anything is measured. */
export async function fillOrders(mysql: Mysql, database: string, rows: number): Promise<void> {
  await withConnection(mysql, async connection => {
    await connection.query(`DROP DATABASE IF EXISTS ${database}`);
    await connection.query(`CREATE DATABASE ${database}`);
    await connection.query(
      `CREATE TABLE ${database}.orders (id INT PRIMARY KEY, note VARCHAR(200) NOT NULL)`,
    );
    for (let from = 0; from < rows; from += ROWS_A_STATEMENT) {
      const values = Array.from({ length: ROWS_A_STATEMENT }, (_, n) => [
        from + n,
        `order ${"x".repeat(80)}`,
      ]);
      await connection.query(`INSERT INTO ${database}.orders VALUES ?`, [values]);
    }
  });
}
