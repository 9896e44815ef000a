/**
 * Loaded into the program under test (`--import`): keeps in the first byte of a file how many produce
 * requests wait for their answer on the connection that has the most. The byte outlives a kill.
 */
import { Buffer } from "node:buffer";
import { openSync, writeSync } from "node:fs";
import { Socket } from "node:net";

const PRODUCE = 0;
const file = openSync("requests-in-flight", "w+");
const waiting = new Map();
const byte = Buffer.alloc(1);

function note() {
  byte[0] = Math.min(255, Math.max(0, ...[...waiting.values()].map(ids => ids.size)));
  writeSync(file, byte, 0, 1, 0);
}

/** A request begins with a write of its own: size, key, version, correlation id, client id. */
function produceId(bytes) {
  if (!Buffer.isBuffer(bytes) || bytes.length < 14) return undefined;
  const headBytes = 14 + bytes.readInt16BE(12);
  const isProduce = bytes.length === headBytes && bytes.readInt16BE(4) === PRODUCE;
  return isProduce ? bytes.readInt32BE(8) : undefined;
}

function watchAnswers(socket, ids) {
  let held = Buffer.alloc(0);
  socket.on("data", data => {
    held = Buffer.concat([held, data]);
    while (held.length >= 8 && held.length >= 4 + held.readInt32BE(0)) {
      if (ids.delete(held.readInt32BE(4))) note();
      held = held.subarray(4 + held.readInt32BE(0));
    }
  });
  socket.on("close", () => {
    waiting.delete(socket);
    note();
  });
}

const { write } = Socket.prototype;
Socket.prototype.write = function (bytes, ...rest) {
  const id = produceId(bytes);
  if (id !== undefined) {
    let ids = waiting.get(this);
    if (ids === undefined) {
      ids = new Set();
      waiting.set(this, ids);
      watchAnswers(this, ids);
    }
    ids.add(id);
    note();
  }
  return write.call(this, bytes, ...rest);
};
note();
