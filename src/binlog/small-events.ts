/**
 * The events beside table maps and rows that say something: which group begins, which statement ran,
 * which file follows. Their fields, from the event's header on and without checksum.
 */
import { inflateSync } from "node:zlib";
import { ByteCursor } from "./byte-cursor.ts";
import { EventFault } from "./event-fault.ts";
import { EventType, HEADER_SIZE, serverIdOf, typeOf } from "./event-header.ts";
import { SerialFields } from "./serial-fields.ts";

/** What is told about an event; which of it is there depends on its type. */
export interface SmallEvent {
  readonly gtid?: string | undefined;
  /** Bytes of the whole group, this event included, in the file. MySQL since 8.0 tells. */
  readonly transactionLength?: number | undefined;
  /** Microseconds since 1970 at which the group was committed where it first was. MySQL since 8.0 tells. */
  readonly committedAtUs?: number | undefined;
  readonly query?: string;
  readonly schema?: string;
  readonly slaveProxyId?: number;
  readonly binlogName?: string;
  readonly onePhase?: boolean;
  /** As the server writes it in its statements: X'67',X'62',1. */
  readonly xid?: string;
  readonly standalone?: boolean;
}

export function parseSmallEvent(event: Buffer): SmallEvent {
  const type = typeOf(event);
  switch (type) {
    case EventType.gtid:
    case EventType.anonymousGtid:
      return parseGtid(event, type === EventType.gtid);
    case EventType.gtidTagged:
      return parseTaggedGtid(event);
    case EventType.query:
      return parseQuery(event);
    case EventType.mariadbQueryCompressed:
      return parseCompressedQuery(event);
    case EventType.rotate:
      return { binlogName: event.toString("utf8", HEADER_SIZE + 8) };
    case EventType.xaPrepare:
      return { onePhase: event.readUInt8(HEADER_SIZE) !== 0, xid: xidOf(event) };
    case EventType.mariadbGtid:
      return parseMariadbGtid(event);
    default:
      throw new EventFault(`its type ${type} is none that is read here`);
  }
}

const XID_OFFSET = HEADER_SIZE + 1;

/** Three numbers, then the bytes of both parts of the name. */
function xidOf(event: Buffer): string {
  const data = XID_OFFSET + 12;
  const middle = data + event.readUInt32LE(XID_OFFSET + 4);
  const end = middle + event.readUInt32LE(XID_OFFSET + 8);
  if (end > event.length) throw new EventFault("the name of its XA transaction is cut short");
  const global = event.toString("hex", data, middle);
  const branch = event.toString("hex", middle, end);
  return `X'${global}',X'${branch}',${event.readUInt32LE(XID_OFFSET)}`;
}

const UUID_OFFSET = HEADER_SIZE + 1;
const NUMBER_OFFSET = UUID_OFFSET + 16;
const CLOCK_OFFSET = NUMBER_OFFSET + 8;
const CLOCK_MARK = 2;
const TIMES_OFFSET = CLOCK_OFFSET + 17;
const TIME_SIZE = 7;
/** In the highest bit of the first time stamp: a second one follows. */
const HAS_ORIGINAL_TIME = 0x80;
/** The other bits of the time stamp's highest bytes, the number in units of 2^32. */
const HIGH_TIME_MASK = 0x7fffff;

function parseGtid(event: Buffer, isNamed: boolean): SmallEvent {
  const gtid = isNamed
    ? `${uuidText(event, UUID_OFFSET)}:${numberText(event, NUMBER_OFFSET)}`
    : undefined;
  if (!hasTimes(event)) return { gtid };
  const isReplicated = (event.readUInt8(TIMES_OFFSET + TIME_SIZE - 1) & HAS_ORIGINAL_TIME) !== 0;
  const originalAt = isReplicated ? TIMES_OFFSET + TIME_SIZE : TIMES_OFFSET;
  const committedAtUs = timeAt(event, originalAt);
  const cursor = new ByteCursor(event, originalAt + TIME_SIZE);
  return {
    gtid,
    transactionLength: cursor.atEnd ? undefined : cursor.packedUint(),
    // A server older than 8.0 told the one that wrote this no time.
    committedAtUs: committedAtUs === 0 ? undefined : committedAtUs,
  };
}

/** False for a server older than 8.0. */
function hasTimes(event: Buffer): boolean {
  if (event.length < TIMES_OFFSET + TIME_SIZE) return false;
  return event.readUInt8(CLOCK_OFFSET) === CLOCK_MARK;
}

function timeAt(event: Buffer, offset: number): number {
  const high = event.readUIntLE(offset + 4, 3) & HIGH_TIME_MASK;
  return high * 2 ** 32 + event.readUInt32LE(offset);
}

let lastUuid = Buffer.alloc(16);
let lastUuidText = "00000000-0000-0000-0000-000000000000";

/** One server writes nearly all of a binlog, so the last text is kept. */
function uuidText(bytes: Buffer, offset: number): string {
  if (bytes.length < offset + 16) throw new EventFault("its uuid is cut short");
  if (lastUuid.compare(bytes, offset, offset + 16) === 0) return lastUuidText;
  lastUuid = Buffer.from(bytes.subarray(offset, offset + 16));
  const digits = lastUuid.toString("hex");
  lastUuidText = [
    digits.slice(0, 8),
    digits.slice(8, 12),
    digits.slice(12, 16),
    digits.slice(16, 20),
    digits.slice(20),
  ].join("-");
  return lastUuidText;
}

function numberText(bytes: Buffer, offset: number): string {
  const high = bytes.readUInt32LE(offset + 4);
  if (high < 0x20_0000) return String(high * 2 ** 32 + bytes.readUInt32LE(offset));
  return String(bytes.readBigUInt64LE(offset));
}

const TagField = {
  uuid: 1,
  number: 2,
  tag: 3,
  committedAt: 6,
  originallyCommittedAt: 7,
  transactionLength: 8,
} as const;
/** Of the fields that its writer says must be understood, the last that we do. */
const TAG_FIELD_MAX = 11;

function parseTaggedGtid(event: Buffer): SmallEvent {
  const fields = new SerialFields(event, HEADER_SIZE, TAG_FIELD_MAX);
  let uuid: string | undefined;
  let number: bigint | undefined;
  let tag = "";
  const numbers = new Map<number, number>();
  for (let field = fields.next(); field !== undefined; field = fields.next()) {
    if (field === TagField.uuid) uuid = uuidText(fields.byteList(16), 0);
    else if (field === TagField.number) number = fields.signed();
    else if (field === TagField.tag) tag = fields.text();
    else numbers.set(field, Number(fields.unsigned())); // Every other field is one number.
  }
  if (uuid === undefined || number === undefined) throw new EventFault("its GTID is not complete");
  const committedAtUs =
    numbers.get(TagField.originallyCommittedAt) ?? numbers.get(TagField.committedAt);
  return {
    gtid: `${uuid}:${tag === "" ? "" : `${tag}:`}${number}`,
    transactionLength: numbers.get(TagField.transactionLength),
    committedAtUs: committedAtUs === 0 ? undefined : committedAtUs,
  };
}

const QUERY_HEAD_SIZE = 13;
const BEGIN = Buffer.from("BEGIN");

function parseQuery(event: Buffer): SmallEvent {
  const slaveProxyId = event.readUInt32LE(HEADER_SIZE);
  const schemaAt =
    HEADER_SIZE + QUERY_HEAD_SIZE + event.readUInt16LE(HEADER_SIZE + QUERY_HEAD_SIZE - 2);
  const queryAt = schemaAt + event.readUInt8(HEADER_SIZE + 8) + 1; // A zero byte ends the schema.
  if (queryAt > event.length) throw new EventFault("its statement is cut short");
  if (event.length === queryAt + BEGIN.length && event.compare(BEGIN, 0, 5, queryAt) === 0) {
    return { query: "BEGIN", schema: "", slaveProxyId };
  }
  return {
    query: event.toString("utf8", queryAt),
    schema: event.toString("utf8", schemaAt, queryAt - 1),
    slaveProxyId,
  };
}

const STATEMENT_BYTES_MAX = 64 * 2 ** 20;

/** As an ordinary Query event, but the statement is packed: a head with its length, then zlib. */
function parseCompressedQuery(event: Buffer): SmallEvent {
  const { schema = "", slaveProxyId = 0 } = parseQuery(event);
  const status = event.readUInt16LE(HEADER_SIZE + QUERY_HEAD_SIZE - 2);
  const at = HEADER_SIZE + QUERY_HEAD_SIZE + status + event.readUInt8(HEADER_SIZE + 8) + 1;
  const packed = event.subarray(at + 1 + (event.readUInt8(at) & 0x07));
  const query = inflateSync(packed, { maxOutputLength: STATEMENT_BYTES_MAX }).toString("utf8");
  return { query, schema, slaveProxyId };
}

/** MariaDB: this group is one statement that no commit follows. */
const STANDALONE = 1;

/** MariaDB: this group is ended by XA PREPARE; it has no XA START. */
const PREPARED = 64;

export function isMariadbPrepared(event: Buffer): boolean {
  return event.length > HEADER_SIZE + 12 && (event.readUInt8(HEADER_SIZE + 12) & PREPARED) !== 0;
}

function parseMariadbGtid(event: Buffer): SmallEvent {
  const number = numberText(event, HEADER_SIZE);
  const domain = event.readUInt32LE(HEADER_SIZE + 8);
  const standalone = (event.readUInt8(HEADER_SIZE + 12) & STANDALONE) !== 0;
  return { gtid: `${domain}-${serverIdOf(event)}-${number}`, standalone };
}
