import { defineConfig } from "vitest/config";

/** Vitest empties the object that it is given, so each project has its own. */
const define = (): Record<string, string> => ({ __MUTANT__: '""', __VERSION__: '"test"' });
const needsServers = ["test/**/*.{mysql,kafka,e2e,services}.test.ts"];

/** `unit` needs nothing; `servers` starts real MySQL and Kafka and runs one file at a time. */
export default defineConfig({
  test: {
    globalSetup: "test/support/temporary-folder.ts",
    projects: [
      {
        define: define(),
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: needsServers,
          testTimeout: 30_000,
        },
      },
      {
        define: define(),
        test: {
          name: "servers",
          include: needsServers,
          pool: "forks",
          poolOptions: { forks: { singleFork: true } },
          testTimeout: 180_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
