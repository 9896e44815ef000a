/**
 * A plain receiver of webhooks, as a process of its own: `PORT FILE`. What it answers with 204 stands in
 * the file before, one line a request. Prints its port.
 */
import { Buffer } from "node:buffer";
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";

const [port, file] = process.argv.slice(2);

const server = createServer((request, response) => {
  const parts = [];
  request.on("error", () => undefined);
  request.on("data", part => parts.push(part));
  request.on("end", () => {
    const body = Buffer.concat(parts).toString();
    const headers = Object.fromEntries(
      Object.entries(request.headers).filter(([name]) => name.startsWith("webhook-")),
    );
    appendFileSync(file, `${JSON.stringify({ path: request.url, headers, body })}\n`);
    response.writeHead(204).end();
  });
});
server.listen(Number(port), "127.0.0.1", () => {
  process.stdout.write(`${String(server.address().port)}\n`);
});
