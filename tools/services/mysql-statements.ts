/** Statements for a server, over a connection of their own. */
import { createConnection, type RowDataPacket } from "mysql2/promise";
import type { Mysql } from "./interfaces.ts";

export type Login = Pick<Mysql, "host" | "port" | "user" | "password">;

/** One after the other. Returns the rows of the last. */
export async function ask(server: Login, ...statements: readonly string[]) {
  const { host, port, user, password } = server;
  const connection = await createConnection({ host, port, user, password });
  try {
    let rows: RowDataPacket[] = [];
    for (const statement of statements) [rows] = await connection.query<RowDataPacket[]>(statement);
    return rows;
  } finally {
    await connection.end();
  }
}
