/** Folders and disks for tests that write files. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export function makeFolder(): string {
  return mkdtempSync(join(tmpdir(), "tidemark-"));
}

export function removeFolder(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

export const canMount = process.getuid?.() === 0 && process.platform === "linux";

/** A file system of this size, mounted over the folder; gone with `unmount`. */
export function mountSmallDisk(folder: string, kilobytes: number): { unmount(): void } {
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${kilobytes}k`, "tmpfs", folder]);
  return { unmount: () => void execFileSync("umount", ["-l", folder]) };
}

/** Says, for the nth call of a method of a file, which error it ends with. */
export type Faults = (method: string, call: number) => string | undefined;

/** Opens files on which single calls fail, with half of the data written where it is a write. */
export function failingOpen(
  faults: Faults,
): (path: string, flags: string | number, mode: number) => Promise<FileHandle> {
  const calls = new Map<string, number>();
  const fault = (method: string): Error | undefined => {
    const call = (calls.get(method) ?? 0) + 1;
    calls.set(method, call);
    const code = faults(method, call);
    return code === undefined
      ? undefined
      : Object.assign(new Error(`${code}: injected, ${method}`), { code, syscall: method });
  };
  return async (path, flags, mode) => {
    const error = fault("open");
    if (error) throw error;
    const handle = await open(path, flags, mode);
    return new Proxy(handle, {
      get(target, property) {
        const value = Reflect.get(target, property) as unknown;
        if (typeof value !== "function") return value;
        return async (...parameters: unknown[]): Promise<unknown> => {
          const failure = fault(String(property));
          if (failure && property === "write") {
            const [data, from, length, at] = parameters as [Buffer, number, number, number];
            await target.write(data, from, length >> 1, at);
          }
          if (failure) throw failure;
          return Reflect.apply(value, target, parameters) as unknown;
        };
      },
    });
  };
}
