import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock, type Clock } from "../../src/core/clock.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { CommitLogFile, type CommitLogFileOptions } from "../../src/watcher/commit-log-file.ts";
import { commitLogContract, makeCheckpoint } from "../contract/commit-log.ts";
import {
  canMount,
  failingOpen,
  makeFolder,
  mountSmallDisk,
  removeFolder,
} from "../support/files.ts";

let folder = "";
let dir = "";
const opened: CommitLogFile[] = [];
const signal = new AbortController().signal;

beforeEach(() => {
  folder = makeFolder();
  dir = join(folder, "state");
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map(log => log.close()));
  removeFolder(folder);
});

function make(more: Partial<CommitLogFileOptions> = {}): CommitLogFile {
  const log = new CommitLogFile({ dir, pipeline: "shop", clock: systemClock, logger: silentLogger, ...more }); // prettier-ignore
  opened.push(log);
  return log;
}

const statePath = (): string => join(dir, "shop.json");
const lockPath = (): string => join(dir, "shop.lock");

interface Lock {
  pid: number;
  start_time: string;
  boot_id: string;
  pid_namespace: string;
  token: string;
}

const readLock = (): Lock => JSON.parse(readFileSync(lockPath(), "utf8")) as Lock;

/** A lock as another process would have left it, renewed `ageMs` ago. */
function leaveLock(changes: Partial<Lock>, ageMs = 0): void {
  writeFileSync(lockPath(), JSON.stringify({ ...readLock(), token: "another", ...changes }));
  const renewed = (Date.now() - ageMs) / 1000;
  utimesSync(lockPath(), renewed, renewed);
}

/** The lock of a log that is still open, so that a test can change it. */
async function withLock(): Promise<CommitLogFile> {
  const log = make();
  await log.open(signal);
  return log;
}

commitLogContract(
  "CommitLogFile",
  () => {
    const own = makeFolder();
    return Promise.resolve({
      makeCommitLog: (pipeline: string) => make({ dir: own, pipeline }),
      damage: (pipeline: string) => {
        writeFileSync(join(own, `${pipeline}.json`), '{"version":1,"pipel');
        return Promise.resolve();
      },
      release: () => {
        removeFolder(own);
        return Promise.resolve();
      },
    });
  },
  { fence: "lock" },
);

describe("CommitLogFile", () => {
  test("makes a folder that only its user can look into", async () => {
    const log = make({ dir: join(dir, "deep") });
    await log.open(signal);
    await log.append(makeCheckpoint(1, 0), signal);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    expect(statSync(join(dir, "deep", "shop.json")).mode & 0o777).toBe(0o600);
  });

  test("leaves no lock and no temporary file", async () => {
    const log = make();
    await log.open(signal);
    await log.append(makeCheckpoint(1, 0), signal);
    await log.replicaUuid();
    await log.close();
    expect(readdirSync(dir).sort()).toEqual(["shop.json", "shop.uuid"]);
  });

  test("removes what killed instances left behind, and nothing of other pipelines", async () => {
    mkdirSync(dir);
    const others = ["shop2.json.x.tmp", "shop.json.keep", "sho.json.x.tmp"];
    for (const name of ["shop.json.x.tmp", "shop.lock.x.tmp", ...others]) writeFileSync(join(dir, name), ""); // prettier-ignore
    await make().open(signal);
    expect(readdirSync(dir).sort()).toEqual([...others, "shop.lock"].sort());
  });

  test.each([
    ["an empty file", ""],
    ["half a record", '{"version":1,"pip'],
    ["an unknown version", JSON.stringify({ ...makeCheckpoint(1, 0), version: 2 })],
    ["another pipeline's record", JSON.stringify(makeCheckpoint(1, 0, { pipeline: "other" }))],
  ])("refuses %s, and lets go of the lock", async (_, text) => {
    mkdirSync(dir);
    writeFileSync(statePath(), text);
    await expect(make().open(signal)).rejects.toMatchObject({ code: "COMMIT_LOG_UNUSABLE" });
    expect(existsSync(lockPath())).toBe(false);
    expect(readFileSync(statePath(), "utf8")).toBe(text);
  });

  test("refuses a damaged replica uuid", async () => {
    mkdirSync(dir);
    writeFileSync(join(dir, "shop.uuid"), "no uuid");
    const log = make();
    await log.open(signal);
    await expect(log.replicaUuid()).rejects.toMatchObject({ code: "COMMIT_LOG_UNUSABLE" });
  });

  test("says so where the folder cannot be used", async () => {
    writeFileSync(dir, "a file");
    await expect(make().open(signal)).rejects.toMatchObject({ code: "SINK_SETTING" });
    const below = make({ dir: join(dir, "below") });
    await expect(below.open(signal)).rejects.toMatchObject({ code: "SINK_SETTING" });
  });

  test("says so where it has no right to write", async () => {
    const log = make({ openFile: failingOpen(name => (name === "open" ? "EACCES" : undefined)) });
    await log.open(signal);
    const appending = log.append(makeCheckpoint(1, 0), signal);
    await expect(appending).rejects.toMatchObject({ code: "SINK_SETTING", exitCode: 78 });
  });

  test("names the process that holds the lock", async () => {
    await withLock();
    await expect(make().open(signal)).rejects.toThrow(new RegExp(`process ${process.pid} `, "i"));
  });

  test("does not trust a pid that was given to another process", async () => {
    await withLock();
    leaveLock({ start_time: "1" });
    await make().open(signal);
    expect(readLock().pid).toBe(process.pid);
  });

  test("takes the lock of a dead process at once", async () => {
    await withLock();
    const child = spawn(process.execPath, ["--version"], { stdio: "ignore" });
    await new Promise(resolve => child.on("exit", resolve));
    leaveLock({ pid: child.pid ?? 0 });
    await make().open(signal);
    expect(readLock()).toMatchObject({ pid: process.pid });
  });

  test("takes a lock that was not renewed for 5 s, whoever holds it", async () => {
    await withLock();
    leaveLock({}, 5_001);
    await make().open(signal);
    await withNoLock();
  });

  test("takes a lock from before a reboot if it is not renewed", async () => {
    await withLock();
    leaveLock({ boot_id: "another" }, 4_500);
    await make().open(signal);
    expect(readLock().token).not.toBe("another");
  });

  test("leaves a lock alone that a process out of sight renews", async () => {
    await withLock();
    leaveLock({ pid_namespace: "pid:[1]", pid: 1 });
    const renewing = setInterval(() => utimesSync(lockPath(), new Date(), new Date()), 100);
    try {
      await expect(make().open(signal)).rejects.toMatchObject({ code: "TAKEN_OVER" });
    } finally {
      clearInterval(renewing);
    }
  });

  test("takes a lock file that was left half written once it is old enough", async () => {
    await withLock();
    writeFileSync(lockPath(), '{"pid":');
    utimesSync(lockPath(), new Date(Date.now() - 4_600), new Date(Date.now() - 4_600));
    await make().open(signal);
    expect(readLock().pid).toBe(process.pid);
  });

  test("renews its lock every second", async () => {
    await withLock();
    utimesSync(lockPath(), 1, 1);
    await new Promise(resolve => setTimeout(resolve, 1_300));
    expect(Date.now() - statSync(lockPath()).mtimeMs).toBeLessThan(1_500);
  });

  test("does not renew, write or remove what a successor holds", async () => {
    const old = await withLock();
    await old.append(makeCheckpoint(1, 0), signal);
    leaveLock({}, 6_000);
    const successor = make();
    await successor.open(signal);
    await successor.append(makeCheckpoint(2, 0), signal);
    utimesSync(lockPath(), 1, 1);

    const appending = old.append(makeCheckpoint(1, 1), signal);
    await expect(appending).rejects.toMatchObject({ code: "TAKEN_OVER", exitCode: 75 });
    await old.close();
    const { token } = readLock();
    expect(existsSync(lockPath())).toBe(true);
    expect(token).not.toBe("another");
    await successor.append(makeCheckpoint(2, 1), signal);
    expect(JSON.parse(readFileSync(statePath(), "utf8"))).toMatchObject({ generation: 2 });
  });

  test("ends what it follows when the lock was taken", async () => {
    const log = await withLock();
    const following = log.follow(signal);
    leaveLock({});
    await expect(following).rejects.toMatchObject({ code: "TAKEN_OVER" });
    await expect(log.stillOurs(signal)).rejects.toMatchObject({ code: "TAKEN_OVER" });
  });

  test("notices a lock that was taken between writing and renaming", async () => {
    const log = make({
      openFile: failingOpen(method => {
        if (method === "sync") leaveLock({});
        return undefined;
      }),
    });
    await log.open(signal);
    const appending = log.append(makeCheckpoint(1, 0), signal);
    await expect(appending).rejects.toMatchObject({ code: "TAKEN_OVER" });
    expect(existsSync(statePath())).toBe(false);
  });

  test("lets exactly one of many take a stale lock", async () => {
    await withLock();
    leaveLock({}, 10_000);
    const logs = Array.from({ length: 8 }, () => make());
    const results = await Promise.allSettled(
      logs.map(async log => {
        await log.open(signal);
        await new Promise(resolve => setTimeout(resolve, 50));
        await log.append(makeCheckpoint(2, 0), signal);
      }),
    );
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  // Goal: whichever call fails, the old record stands until the new one does.
  test.each(["open", "writeFile", "sync", "close"])("waits while %s fails", async method => {
    const log = make({
      openFile: failingOpen((name, call) =>
        name === method && call % 3 !== 0 ? "EIO" : undefined,
      ),
    });
    await log.open(signal);
    for (let sequence = 0; sequence < 3; sequence += 1) {
      await log.append(makeCheckpoint(1, sequence), signal);
      expect(JSON.parse(readFileSync(statePath(), "utf8"))).toEqual(makeCheckpoint(1, sequence));
    }
  });

  test("stops waiting when the signal aborts", async () => {
    const log = make({
      openFile: failingOpen(name => (name === "writeFile" ? "ENOSPC" : undefined)),
    });
    await log.open(signal);
    const stop = new AbortController();
    const appending = log.append(makeCheckpoint(1, 0), stop.signal);
    const reason = new Error("stopped");
    setTimeout(() => stop.abort(reason), 60);
    await expect(appending).rejects.toBe(reason);
  });

  if (canMount)
    test("waits for space on a full disk", async () => {
      mkdirSync(dir);
      const disk = mountSmallDisk(dir, 64);
      try {
        const log = make();
        await log.open(signal);
        await log.append(makeCheckpoint(1, 0), signal);
        const filler = join(dir, "filler");
        expect(() => writeFileSync(filler, Buffer.alloc(256 * 1024))).toThrow("ENOSPC");
        const appending = log.append(makeCheckpoint(1, 1), signal);
        await new Promise(resolve => setTimeout(resolve, 300));
        expect(JSON.parse(readFileSync(statePath(), "utf8"))).toEqual(makeCheckpoint(1, 0));
        writeFileSync(filler, "");
        await appending;
        expect(JSON.parse(readFileSync(statePath(), "utf8"))).toEqual(makeCheckpoint(1, 1));
        await log.close();
      } finally {
        disk.unmount();
      }
    });

  test("goes by the renewals it sees where the clocks differ", async () => {
    await withLock();
    leaveLock({ boot_id: "another" }, -60_000);
    let nowMs = 0;
    const clock: Clock = {
      ...systemClock,
      nowMs: () => nowMs,
      after: (ms, callback) => {
        const timer = setTimeout(() => {
          nowMs += ms;
          callback();
        }, 1);
        return () => clearTimeout(timer);
      },
    };
    await make({ clock }).open(signal);
    expect(readLock().token).not.toBe("another");
  });
});

/** After a take-over the first holder has lost. */
async function withNoLock(): Promise<void> {
  const [first] = opened;
  await expect(first?.append(makeCheckpoint(1, 0), signal)).rejects.toMatchObject({ code: "TAKEN_OVER" }); // prettier-ignore
}
