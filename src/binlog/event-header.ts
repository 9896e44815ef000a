/** The 19 bytes in front of every event, and what the binlog's event types are called. */

export const HEADER_SIZE = 19;
export const CHECKSUM_SIZE = 4;

export const EventType = {
  query: 2,
  stop: 3,
  rotate: 4,
  intvar: 5,
  rand: 13,
  userVar: 14,
  formatDescription: 15,
  xid: 16,
  beginLoadQuery: 17,
  executeLoadQuery: 18,
  tableMap: 19,
  writeRowsV1: 23,
  updateRowsV1: 24,
  deleteRowsV1: 25,
  incident: 26,
  heartbeat: 27,
  ignorable: 28,
  rowsQuery: 29,
  writeRows: 30,
  updateRows: 31,
  deleteRows: 32,
  gtid: 33,
  anonymousGtid: 34,
  previousGtids: 35,
  transactionContext: 36,
  viewChange: 37,
  xaPrepare: 38,
  partialUpdateRows: 39,
  transactionPayload: 40,
  heartbeatV2: 41,
  gtidTagged: 42,
  mariadbAnnotateRows: 160,
  mariadbCheckpoint: 161,
  mariadbGtid: 162,
  mariadbGtidList: 163,
  mariadbStartEncryption: 164,
  mariadbQueryCompressed: 165,
  mariadbWriteRowsCompressedV1: 166,
  mariadbUpdateRowsCompressedV1: 167,
  mariadbDeleteRowsCompressedV1: 168,
  mariadbWriteRowsCompressed: 169,
  mariadbUpdateRowsCompressed: 170,
  mariadbDeleteRowsCompressed: 171,
} as const;

export const FLAGS_OFFSET = 17;
/** Set in the first event of a file that is being written; its checksum is made without it. */
export const IN_USE = 0x01;
const IGNORABLE = 0x80;
const THREAD_SPECIFIC = 0x04;

export const TYPE_OFFSET = 4;

export function typeOf(event: Buffer, start = 0): number {
  return event.readUInt8(start + TYPE_OFFSET);
}

export function timestampOf(event: Buffer, start = 0): number {
  return event.readUInt32LE(start);
}

export function serverIdOf(event: Buffer, start = 0): number {
  return event.readUInt32LE(start + 5);
}

/** Bytes of the event as it stands in the file, its checksum included. */
export function sizeOf(event: Buffer, start = 0): number {
  return event.readUInt32LE(start + 9);
}

/** Where the next event starts: modulo 2^32, and 0 for events that the server made up for the dump. */
export function nextPositionOf(event: Buffer, start = 0): number {
  return event.readUInt32LE(start + 13);
}

/** Whoever wrote the event marked it as safe to skip for those who do not know it. */
export function isIgnorable(event: Buffer): boolean {
  return (event.readUInt16LE(FLAGS_OFFSET) & IGNORABLE) !== 0;
}

/** Of a statement: it uses temporary tables. */
export function isThreadSpecific(event: Buffer): boolean {
  return (event.readUInt16LE(FLAGS_OFFSET) & THREAD_SPECIFIC) !== 0;
}

/** Of a format description event: its file is being written, or was when the server crashed. */
export function isInUse(event: Buffer): boolean {
  return (event.readUInt16LE(FLAGS_OFFSET) & IN_USE) !== 0;
}
