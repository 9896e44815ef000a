/** Keeps a large event in a temporary file, says so, and waits to be killed. */
import { Spool } from "../../src/binlog/spool.ts";

const spool = new Spool(true);
spool.write(Buffer.alloc(2 ** 20, 1));
process.stdout.write(`${spool.bytes}\n`);
setInterval(() => spool.bytes, 60_000);
