import { expect, test } from "vitest";
import { mysqlError } from "../../src/binlog/mysql-errors.ts";
import { TidemarkError } from "../../src/core/errors.ts";

const withFields = (message: string, fields: object): Error =>
  Object.assign(new Error(message), fields);

test.each([
  [1045, "Access denied", "ACCESS_DENIED"],
  [1227, "you need REPLICATION SLAVE", "ACCESS_DENIED"],
  [1698, "Access denied", "ACCESS_DENIED"],
  [1772, "Malformed GTID set specification", "POSITION_UNUSABLE"],
  [1040, "Too many connections", "SOURCE_UNAVAILABLE"],
  [1053, "Server shutdown in progress", "SOURCE_UNAVAILABLE"],
  [
    1236,
    "A slave with the same server_uuid/server_id as this slave has connected",
    "SOURCE_TAKEN_OVER",
  ],
  [
    1236,
    "A replica with the same server_uuid/server_id as this replica has connected",
    "SOURCE_TAKEN_OVER",
  ],
  [1236, "Could not find first log file name in binary log index file", "POSITION_LOST"],
  [
    1236,
    "Cannot replicate because the source purged required binary logs. Replicate the missing transactions",
    "POSITION_LOST",
  ],
  [1236, "something new", "POSITION_UNUSABLE"],
])("error %i (%s) is %s", (errno, message, code) => {
  const cause = withFields(message, { errno });
  const error = mysqlError(cause, "the binlog");
  expect(error).toMatchObject({ code, cause });
  expect(error.message).toContain(message);
});

test.each(["ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "PROTOCOL_CONNECTION_LOST", undefined])(
  "%s means that the connection is lost",
  code => {
    expect(mysqlError(withFields("gone", { code }), "x").code).toBe("SOURCE_UNAVAILABLE");
  },
);

test.each(["HANDSHAKE_SSL_ERROR", "DEPTH_ZERO_SELF_SIGNED_CERT", "ERR_TLS_CERT_ALTNAME_INVALID"])(
  "%s is a matter of the configuration",
  code => {
    expect(mysqlError(withFields("tls", { code }), "x").code).toBe("ACCESS_DENIED");
  },
);

test("what is no error at all is classified too", () => {
  for (const thrown of [undefined, null, "text", 7]) {
    expect(mysqlError(thrown, "x").code).toBe("SOURCE_UNAVAILABLE");
  }
});

test("our own errors stay what they are", () => {
  const error = new TidemarkError("EVENT_UNREADABLE", "x");
  expect(mysqlError(error, "x")).toBe(error);
});
