import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { Spool } from "../../src/binlog/spool.ts";
import { makeFolder, removeFolder } from "../support/files.ts";
import { between, seededRandom } from "../support/random.ts";

const content = Buffer.from(Array.from({ length: 1_000 }, (_, i) => (i * 7) & 0xff));

function withChecksum(bytes: Buffer): Buffer {
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32(bytes));
  return Buffer.concat([bytes, sum]);
}

function spooled(bytes: Buffer, sizes: () => number, hasChecksum = true): Spool {
  const spool = new Spool(hasChecksum);
  for (let at = 0; at < bytes.length;) {
    const size = sizes();
    spool.write(bytes.subarray(at, at + size));
    at += size;
  }
  return spool;
}

describe("Spool", () => {
  test("counts the checksum however the event comes, and gives back its bytes", () => {
    const random = seededRandom(5);
    for (let round = 0; round < 50; round += 1) {
      const max = between(random, 1, round < 25 ? 6 : 700);
      const spool = spooled(withChecksum(content), () => between(random, 1, max));
      expect(spool.holds).toBe(true);
      expect(spool.parts.size).toBe(content.length);
      expect(spool.parts.read(0, 2_000).equals(content)).toBe(true);
      expect(spool.parts.read(990, 100).equals(content.subarray(990))).toBe(true);
      spool.close();
    }
  });

  test("notices one wrong bit, and an event that is shorter than a checksum", () => {
    const wrong = withChecksum(content);
    wrong[500] = (wrong[500] ?? 0) ^ 1;
    const spools = [spooled(wrong, () => 64), spooled(Buffer.from("abc"), () => 1)];
    expect(spools.map(({ holds }) => holds)).toEqual([false, false]);
    for (const spool of spools) spool.close();
  });

  test("takes an event without checksum as it is", () => {
    const spool = spooled(content, () => 64, false);
    expect(spool.holds).toBe(true);
    expect(spool.parts.read(0, 2_000).equals(content)).toBe(true);
    spool.close();
  });

  test("leaves nothing behind when the process is killed", async () => {
    const folder = makeFolder();
    const child = fileURLToPath(new URL("spool-child.ts", import.meta.url));
    const spooling = spawn(process.execPath, ["--import", "tsx", child], {
      env: { ...process.env, TMPDIR: folder },
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      await once(spooling.stdout, "data");
      const open = readdirSync(`/proc/${spooling.pid}/fd`).map(fd => {
        try {
          return readlinkSync(`/proc/${spooling.pid}/fd/${fd}`);
        } catch {
          return ""; // It was closed meanwhile.
        }
      });
      expect(open.some(path => path.startsWith(folder))).toBe(true);
      spooling.kill("SIGKILL");
      await once(spooling, "exit");
      expect(readdirSync(folder).filter(name => name.startsWith("tidemark-"))).toEqual([]);
    } finally {
      spooling.kill("SIGKILL");
      removeFolder(folder);
    }
  });
});
