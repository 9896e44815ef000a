import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { errorCodes } from "../../src/core/errors.ts";
import { buildBundle, root, runBundle } from "../support/bundle.ts";
import { compose, service, variables } from "./compose.ts";

const read = (path: string): string => readFileSync(join(root, path), "utf8");
const temporary = (kind: string): string => mkdtempSync(join(tmpdir(), `tidemark-${kind}-`));

describe("Dockerfile", () => {
  const lines = read("Dockerfile")
    .replaceAll("\\\n", " ")
    .split("\n")
    .filter(line => /^[A-Z]/.test(line));
  const all = (word: string): string[] =>
    lines.filter(line => line.startsWith(`${word} `)).map(line => line.slice(word.length + 1));
  const finalStage = lines.slice(lines.findLastIndex(line => line.startsWith("FROM ")));
  /** Sources and destination of each COPY from the build context. */
  const copied = all("COPY")
    .filter(line => !line.startsWith("--from"))
    .map(line => ({ from: line.split(" ").slice(0, -1), to: line.split(" ").at(-1) ?? "" }));

  test("starts from images with a version", () => {
    const defaults = new Map(all("ARG").map(line => line.split("=") as [string, string]));
    const images = all("FROM").map(line =>
      line.split(" ")[0]?.replace(/^\$\{(\w+)\}$/, (_, name: string) => defaults.get(name) ?? ""),
    );
    expect(images).toEqual(["node:20-bookworm", "node:20-bookworm-slim"]);
  });

  test("runs as a user who is a number and not root", () => {
    expect(finalStage.filter(line => line.startsWith("USER "))).toEqual(["USER 10001:10001"]);
  });

  test.each([
    ["alive", 200, 0],
    ["not alive", 503, 1],
    ["not there", undefined, 1],
  ])("its health check, done by Node, sees that /live is %s", async (_, answer, status) => {
    const [check = ""] = finalStage.filter(line => line.startsWith("HEALTHCHECK "));
    const [program, option = "", script = ""] = JSON.parse(
      /CMD (\[.*\])/.exec(check)?.[1] ?? "[]",
    ) as string[];
    expect([program, option]).toEqual(["node", "-e"]);
    const server = createServer(({ url }, response) => {
      response.writeHead(url === "/live" ? (answer ?? 500) : 404).end();
    });
    await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    if (answer === undefined) await new Promise(resolve => server.close(resolve));
    expect(script).toContain("http://127.0.0.1:8080/live");
    const child = spawn(process.execPath, [option, script.replace(":8080", `:${port}`)]);
    expect(await new Promise(resolve => child.once("exit", resolve))).toBe(status);
    server.close();
  });

  test("has every secret from outside", () => {
    expect(lines.filter(line => /PASSWORD|SECRET|TOKEN/i.test(line))).toEqual([]);
  });

  test("gets through .dockerignore what it copies", () => {
    const allowed = read(".dockerignore")
      .split("\n")
      .filter(line => line.startsWith("!"))
      .map(line => line.slice(1));
    const sources = copied.flatMap(({ from }) => from);
    expect([...sources].sort()).toEqual([...allowed].sort());
  });

  test("copies all that the build needs", () => {
    const folder = temporary("image");
    for (const { from, to } of copied.filter(copy => !copy.to.startsWith("/"))) {
      for (const path of from) {
        // `COPY a b/ ` puts a into the folder b, `COPY a b` makes b out of the folder a.
        const target = join(folder, to, to.endsWith("/") ? basename(path) : "");
        cpSync(join(root, path), target, { recursive: true });
      }
    }
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    const build = spawnSync("npm", ["run", "build"], { cwd: folder, encoding: "utf8" });
    expect(build.status, build.stderr).toBe(0);
    const { stdout } = runBundle(join(folder, "dist/tidemark.mjs"), ["--version"], { cwd: folder });
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

const services = Object.entries(compose.services);
const tidemarks = services.flatMap(([name, { build }]) => (build === undefined ? [] : [name]));

/** The configuration that the service is given. */
function mounted(name: string): string {
  const { volumes = [] } = service(name);
  return volumes.find(volume => volume.includes(":/etc/tidemark/"))?.split(":")[0] ?? "";
}

describe("docker-compose.yml", () => {
  test.each(services)("%s has an image with a version", (_, { image }) => {
    expect(image).toMatch(/:[\w.-]+$/);
    expect(image).not.toMatch(/:latest$/);
  });

  test.each(services)("%s is seen on this machine alone", (_, { ports = [] }) => {
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  });

  test("waits for what is healthy, where that has a check", () => {
    for (const [, { depends_on = {} }] of services) {
      for (const [name, { condition }] of Object.entries(depends_on)) {
        const { healthcheck } = service(name);
        expect(condition).toBe(healthcheck ? "service_healthy" : "service_started");
        if (healthcheck) expect(healthcheck.test?.length).toBeGreaterThan(1);
      }
    }
    expect(Object.keys(service("tidemark").depends_on ?? {}).sort()).toEqual(["kafka", "mysql"]);
  });

  test("starts other destinations only when their profile is asked for", () => {
    const profiled = services.filter(([, { profiles }]) => profiles !== undefined);
    expect(Object.fromEntries(profiled.map(([name, { profiles }]) => [name, profiles]))).toEqual({
      rabbitmq: ["rabbitmq", "many"],
      elasticmq: ["sqs", "activity", "many"],
      webhooks: ["webhooks", "many"],
      "tidemark-activity": ["activity"],
      "tidemark-rabbitmq": ["rabbitmq"],
      "tidemark-ordered": ["ordered"],
      "tidemark-webhooks": ["webhooks"],
      "tidemark-many": ["many"],
    });
  });

  test("starts with an example what that needs", () => {
    for (const [, { profiles = [], depends_on = {} }] of services) {
      for (const profile of profiles) {
        for (const name of Object.keys(depends_on)) {
          expect(service(name).profiles ?? [profile], name).toContain(profile);
        }
      }
    }
  });

  test("mounts what is there", () => {
    for (const [, { volumes = [] }] of services) {
      for (const [source = ""] of volumes.map(volume => volume.split(":"))) {
        const isThere = source.startsWith("./")
          ? existsSync(join(root, source))
          : source in compose.volumes;
        expect(isThere, source).toBe(true);
      }
    }
  });

  test(".env.example names every variable, with its default", () => {
    const example = read(".env.example")
      .split("\n")
      .filter(line => /^\w/.test(line))
      .map(line => line.split("=") as [string, string]);
    expect(new Map(example)).toEqual(variables);
  });

  test.each(tidemarks)("%s has its health asked for just when it listens", name => {
    const config = parse(read(mounted(name))) as object;
    expect(service(name).healthcheck?.disable ?? false).toBe(!("http" in config));
  });

  test.each(tidemarks)("%s has longer to stop than its drain takes", name => {
    expect(Number.parseInt(service(name).stop_grace_period ?? "0", 10)).toBeGreaterThan(10);
  });
});

describe("the configurations", () => {
  let bundle = "";
  beforeAll(() => {
    bundle = buildBundle();
  });

  test.each(tidemarks)("of %s is valid, and shows no password", name => {
    const { command = [], environment = {} } = service(name);
    const overrides = command.filter(word => word.startsWith("--set"));
    const args = ["config", "--config", join(root, mounted(name)), ...overrides];
    const env = Object.fromEntries(
      Object.entries(environment).map(([key, value]) => [key, String(value)]),
    );
    const result = runBundle(bundle, args, { cwd: temporary("cwd"), env });
    expect(result.status, result.stderr).toBe(0);
    expect(result.stdout).toContain("host: mysql\n");
    for (const [key, value] of Object.entries(env)) {
      if (/PASSWORD$|SECRET$/.test(key)) expect(result.stdout).not.toContain(value);
    }
  });

  test("leave each pipeline a server id of its own", () => {
    const ids = [...tidemarks.map(mounted)].flatMap(path => {
      const { source, pipelines } = parse(read(path)) as {
        source: { server_id?: number };
        pipelines: readonly unknown[];
      };
      return pipelines.map((_, index) => (source.server_id ?? 42897) + index);
    });
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("of the systemd unit is valid with its credential", () => {
    const folder = temporary("credentials");
    writeFileSync(join(folder, "mysql"), "very-secret\n", { mode: 0o400 });
    writeFileSync(
      join(folder, "ca.pem"),
      "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    );
    // The certificates of the machine that the unit is for need not be on this one.
    const text = read("deploy/tidemark.yaml").replace(/ca: [^ ]+/, "ca: ca.pem");
    writeFileSync(join(folder, "tidemark.yaml"), text);
    const env = { CREDENTIALS_DIRECTORY: folder };
    const result = runBundle(bundle, ["config"], { cwd: folder, env });
    expect(result).toMatchObject({ status: 0, stderr: "" });
    expect(result.stdout).not.toContain("very-secret");
  });
});

describe("tidemark.service", () => {
  const settings = new Map(
    read("deploy/tidemark.service")
      .split("\n")
      .filter(line => /^\w+=/.test(line))
      .map(line => [line.split("=")[0] ?? "", line.slice(line.indexOf("=") + 1)]),
  );

  test("stays down where a person is needed, and only there", () => {
    const forPeople = new Set(
      Object.values(errorCodes)
        .filter(({ reaction, exitCode }) => reaction === "halt" && ![0, 69, 70].includes(exitCode))
        .map(({ exitCode }) => exitCode),
    );
    const listed = settings.get("RestartPreventExitStatus")?.split(" ").map(Number);
    expect(listed).toEqual([...forPeople].sort((one, other) => one - other));
  });

  test("runs without root and gives a stop longer than a drain takes", () => {
    expect(settings.get("DynamicUser")).toBe("yes");
    expect(settings.get("CapabilityBoundingSet")).toBe("");
    expect(Number(settings.get("TimeoutStopSec"))).toBeGreaterThan(10);
  });
});
