/** A file system of a few megabytes, which a test can fill. Needs root, on Linux. */
import { execFileSync } from "node:child_process";
import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeFolder, removeFolder } from "./files.ts";

const MB = 2 ** 20;

export class SmallDisk {
  readonly dir = makeFolder();

  /** @throws where nothing can be mounted: what a full disk does can then not be shown. */
  constructor(megabytes: number) {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tidemark-test", this.dir]);
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.dir);
    return bavail * bsize;
  }

  fill(megabytes: number): void {
    writeFileSync(join(this.dir, "filler"), Buffer.alloc(megabytes * MB));
  }

  empty(): void {
    rmSync(join(this.dir, "filler"));
  }

  close(): void {
    execFileSync("umount", ["--lazy", this.dir]);
    removeFolder(this.dir);
  }
}
