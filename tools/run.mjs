/**
 * Starts a TypeScript tool from a fresh clone: installs the packages if they are missing, then hands
 * over to tsx. Node 20 runs no TypeScript by itself.
 *
 *   node tools/run.mjs tools/demo/main.ts --seconds 20
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const [script, ...args] = process.argv.slice(2);

if (!existsSync(`${root}/node_modules/tsx/package.json`)) {
  process.stderr.write("Installing packages (npm ci) …\n");
  const install = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], {
    cwd: root,
    stdio: ["ignore", process.stderr, process.stderr],
  });
  if (install.status !== 0) {
    process.stderr.write("npm ci failed; see above.\n");
    process.exit(1);
  }
}

// tsx is loaded into this very process tree with its own signal handling: the child gets the
// terminal's signals itself, and we only pass on those sent to our own process id.
const child = spawn(process.execPath, ["--import", "tsx", `${root}/${script}`, ...args], {
  stdio: "inherit",
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => child.kill(signal));
}
child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGKILL" ? 137 : 1)));
