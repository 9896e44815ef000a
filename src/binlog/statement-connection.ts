/** A connection to MySQL for a few statements, which can be given up at any moment, also while it is made. */
import type { Socket } from "node:net";
import { createConnection, type Connection as RawConnection } from "mysql2";
import type { Connection } from "mysql2/promise";
import { TidemarkError } from "../core/errors.ts";
import { driverOptions, securityAttempts, type MysqlConnectionOptions } from "./connection.ts";
import { isWithoutTls } from "./mysql-errors.ts";

/**
 * Connects, with TLS or without as the mode says.
 *
 * @param signal ends the connection when it aborts. Who waits for an answer then waits for ever.
 */
export async function connectForStatements(
  options: MysqlConnectionOptions,
  signal: AbortSignal,
): Promise<Connection> {
  const [first = false, second] = securityAttempts(options);
  try {
    return await open(options, first, signal);
  } catch (thrown) {
    if (!isWithoutTls(thrown)) throw thrown;
    if (second === undefined) throw withoutTls(options, thrown);
    return open(options, second, signal);
  }
}

function open(
  options: MysqlConnectionOptions,
  secure: boolean,
  signal: AbortSignal,
): Promise<Connection> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const raw = createConnection(driverOptions(options, secure));
    signal.addEventListener("abort", () => abandon(raw), { once: true });
    // Stays: a pending statement tells an error too.
    raw.on("error", reject);
    raw.once("connect", () => resolve(raw.promise()));
  });
}

/** The driver's own `destroy` waits for the other side, which may be gone. */
function abandon(raw: RawConnection): void {
  raw.destroy();
  (raw as unknown as { readonly stream: Socket }).stream.destroy();
}

function withoutTls({ host, port, tls }: MysqlConnectionOptions, cause: unknown): TidemarkError {
  return new TidemarkError(
    "SOURCE_SETTING",
    `MySQL at ${host}:${port} offers no TLS, but source.tls.mode is ${tls?.mode ?? ""}: give it a certificate ` +
      "(ssl_cert, ssl_key in my.cnf), or set source.tls.mode=disabled if the network can be trusted.",
    { cause },
  );
}
