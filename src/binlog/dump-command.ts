/** The packet with which a dump is asked for. */
import { assert } from "../core/errors.ts";
import { GtidSet, isMariadbGtid } from "../core/gtid-set.ts";
import type { DumpStart } from "./reader.ts";

const HEADER_SIZE = 4;
const COM_BINLOG_DUMP = 0x12;
const COM_BINLOG_DUMP_GTID = 0x1e;
const NO_FLAGS = 0;
/** Where the first event of a file stands: the server finds the file by the set. */
const FILE_START = 4;
/** Positions have four bytes in the command. */
const POSITION_MAX = 0xffff_ffff;

export function dumpCommand(start: DumpStart, serverId: number): Buffer {
  if (start.kind === "position" || isMariadbGtid(start.gtidSet)) {
    const { file, position } =
      start.kind === "position" ? start : { file: "", position: FILE_START };
    return byPosition(file, position, serverId);
  }
  return bySet(GtidSet.parse(start.gtidSet).encode(), serverId);
}

function byPosition(file: string, position: number, serverId: number): Buffer {
  assert(position <= POSITION_MAX, "a dump cannot begin behind 4 GiB of a file");
  const name = Buffer.from(file);
  const packet = Buffer.alloc(HEADER_SIZE + 11 + name.length);
  packet.writeUInt8(COM_BINLOG_DUMP, 4);
  packet.writeUInt32LE(position, 5);
  packet.writeUInt16LE(NO_FLAGS, 9);
  packet.writeUInt32LE(serverId, 11);
  name.copy(packet, 15);
  return framed(packet);
}

function bySet(set: Buffer, serverId: number): Buffer {
  const packet = Buffer.alloc(HEADER_SIZE + 23 + set.length);
  packet.writeUInt8(COM_BINLOG_DUMP_GTID, 4);
  packet.writeUInt16LE(NO_FLAGS, 5);
  packet.writeUInt32LE(serverId, 7);
  packet.writeUInt32LE(0, 11); // No file name.
  packet.writeBigUInt64LE(BigInt(FILE_START), 15);
  packet.writeUInt32LE(set.length, 23);
  set.copy(packet, 27);
  return framed(packet);
}

function framed(packet: Buffer): Buffer {
  packet.writeUIntLE(packet.length - HEADER_SIZE, 0, 3);
  return packet;
}

/** MariaDB has no command for a set: it is told in the session. */
export function mariadbStartStatement(start: DumpStart): string | undefined {
  if (start.kind !== "gtid-set" || !isMariadbGtid(start.gtidSet)) return undefined;
  return `SET @slave_connect_state = '${GtidSet.parse(start.gtidSet).toString()}'`;
}
