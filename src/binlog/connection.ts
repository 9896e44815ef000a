/** How to reach MySQL, in our words and in mysql2's. */
import type { ConnectionOptions } from "mysql2";

export type TlsMode = "disabled" | "preferred" | "required" | "verify_ca" | "verify_identity";

export interface TlsOptions {
  readonly mode: TlsMode;
  /** PEM texts. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface MysqlConnectionOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string | undefined;
  readonly tls?: TlsOptions | undefined;
}

const CONNECT_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_DELAY_MS = 30_000;

/** @param secure whether to use TLS, where the mode leaves it open. */
export function driverOptions(
  connection: MysqlConnectionOptions,
  secure: boolean,
): ConnectionOptions {
  const { host, port, user, password = "", tls } = connection;
  return {
    host,
    port,
    user,
    password,
    connectTimeout: CONNECT_TIMEOUT_MS,
    enableKeepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
    dateStrings: true,
    timezone: "Z",
    supportBigNumbers: true,
    bigNumberStrings: true,
    ...(secure && tls ? { ssl: sslOptions(tls) } : {}),
  };
}

function sslOptions({ mode, ca, cert, key }: TlsOptions): NonNullable<ConnectionOptions["ssl"]> {
  return {
    rejectUnauthorized: mode === "verify_ca" || mode === "verify_identity",
    verifyIdentity: mode === "verify_identity",
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

/** The ways to try in turn: `preferred` takes a server without TLS too. */
export function securityAttempts({ tls }: MysqlConnectionOptions): readonly boolean[] {
  const mode = tls?.mode ?? "disabled";
  if (mode === "disabled") return [false];
  return mode === "preferred" ? [true, false] : [true];
}
