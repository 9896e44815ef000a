/**
 * Errors of MySQL and of the way to it, as ours. Total: what is not known counts as a lost connection,
 * which is waited for and logged with its text.
 */
import { TidemarkError, type ErrorCode } from "../core/errors.ts";

/** What mysql2 puts on the errors it raises; all of it may be missing. */
interface MysqlError {
  readonly code?: unknown;
  readonly errno?: unknown;
  readonly message: string;
}

/** The server ends a dump with this number, whatever the reason: there is no code below it. */
const DUMP_FATAL = 1236;

/** A GTID set that this server cannot read, such as one of MariaDB. */
const MALFORMED_GTID_SET = 1772;

/** Numbers of the server by which the user is not who it should be, or may not do what it must. */
const DENIED: ReadonlySet<number> = new Set([
  1044, // no access to the database
  1045, // wrong password
  1142, // no privilege on the table
  1227, // a global privilege is missing
  1410, // may not create a user with GRANT
  1524, // the plugin of the user is not loaded
  1698, // the plugin of the user refuses
  1820, // the password has expired
  1862,
  3118, // the account is locked
  3159, // the server takes secure connections only
  3955, // the account is locked for a time
]);

export function mysqlError(thrown: unknown, doing: string): TidemarkError {
  if (thrown instanceof TidemarkError) return thrown;
  const error: MysqlError = thrown instanceof Error ? thrown : new Error(String(thrown));
  const make = (code: ErrorCode, message: string): TidemarkError =>
    new TidemarkError(code, message, { cause: thrown });
  const errno = typeof error.errno === "number" ? error.errno : undefined;
  if (errno === DUMP_FATAL) return make(...dumpError(error.message));
  if (errno === MALFORMED_GTID_SET) {
    const sentence = `${error.message.replace(/\.$/, "")}. It may come from a server of another kind.`;
    return make("POSITION_UNUSABLE", `MySQL cannot read a GTID set: ${sentence}`);
  }
  if (errno !== undefined && DENIED.has(errno)) {
    return make("ACCESS_DENIED", `MySQL refuses ${doing}: ${error.message}. ${grantHint(errno)}`);
  }
  if (isTlsError(error)) {
    return make(
      "ACCESS_DENIED",
      `No secure connection to MySQL: ${error.message}. Check source.tls.`,
    );
  }
  const code = typeof error.code === "string" ? ` (${error.code})` : "";
  return make(
    "SOURCE_UNAVAILABLE",
    `MySQL cannot be reached for ${doing}: ${error.message}${code}`,
  );
}

function grantHint(errno: number): string {
  if (errno === 1227) {
    return "Run GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO the user.";
  }
  return "Check source.user and source.password; the user needs GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.*";
}

function isTlsError({ code }: MysqlError): boolean {
  return (
    typeof code === "string" &&
    (code === "HANDSHAKE_SSL_ERROR" ||
      code === NO_TLS ||
      code.startsWith("ERR_TLS_") ||
      code.startsWith("CERT_") ||
      code.endsWith("_CERT") ||
      code.includes("_CERT_") ||
      code === "UNABLE_TO_VERIFY_LEAF_SIGNATURE")
  );
}

const NO_TLS = "HANDSHAKE_NO_SSL_SUPPORT";

/** The server has no TLS at all. */
export function isWithoutTls(thrown: unknown): boolean {
  return (thrown as { code?: unknown } | null)?.code === NO_TLS;
}

/** What a person can do where changes are gone. */
export const MENDED_BY_SET =
  "Set a new position with `tidemark position set earliest` (what the server still has is sent, perhaps " +
  "again) or `tidemark position set latest` (what lies between is never sent).";

const PURGED = /purged|Could not find first log file name/i;

/**
 * The one place where a message of the server is read: error 1236 has no finer code.
 * The wording is that of 5.7 (slave, master) and of 8.0.26 and newer (replica, source).
 */
function dumpError(message: string): [ErrorCode, string] {
  if (/same server_uuid\/server_id/.test(message)) {
    return [
      "SOURCE_TAKEN_OVER",
      `Another instance of this pipeline reads from MySQL now, and this one was sent away: ${message}`,
    ];
  }
  if (PURGED.test(message)) {
    return [
      "POSITION_LOST",
      `MySQL has removed binlog that was not read yet: ${message.replace(/[.\s]+$/, "")}. ${MENDED_BY_SET}`,
    ];
  }
  return [
    "POSITION_UNUSABLE",
    `MySQL cannot continue from this position: ${message}. ` +
      "If the changes since then may be missed, set a new position with tidemark position set.",
  ];
}

/** What a packet says that begins with 0xff: number, a mark and five characters of state, then text. */
export function errorInPacket(packet: Buffer): Error & { readonly errno: number } {
  const errno = packet.length >= 3 ? packet.readUInt16LE(1) : 0;
  const hasState = packet.length >= 9 && packet.readUInt8(3) === 0x23;
  const message = packet.toString("utf8", hasState ? 9 : 3);
  return Object.assign(new Error(message), { errno });
}
