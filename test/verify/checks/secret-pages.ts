/**
 * What a program that runs and knows a password prints: its log at the level that says most, its errors, its
 * pages, the other commands. The password is given in each of the ways there are.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../../tools/services/ports.ts";
import { ask } from "../../../tools/services/mysql-statements.ts";
import { Place, until, WRONG_PASSWORD } from "../../check/support.ts";
import { builtBundle } from "../product.ts";
import { holdsSecret } from "../secrets.ts";
import type { Servers } from "../servers.ts";

export interface Searched {
  /** How many outputs were looked through. */
  readonly searched: number;
  /** Where it was found. */
  readonly leaks: readonly string[];
}

const PAGES = ["/live", "/ready", "/health", "/metrics"];

export async function pagesAndLogs(servers: Servers, dir: string): Promise<Searched> {
  const [mysql, kafka] = [await servers.mysql(), await servers.kafka(1)];
  const place = new Place(builtBundle(undefined));
  const { database, user, password } = place;
  await place.prepare(mysql);
  place.configure(mysql, { kafka });
  const leaks: string[] = [];
  let searched = 0;
  const search = async (where: string, output: Promise<unknown>): Promise<void> => {
    searched += 1;
    // A place refuses what prints a password.
    await output.catch((error: unknown) => leaks.push(`${where}: ${String(error).slice(0, 500)}`));
  };
  const secretFile = join(dir, "password");
  writeFileSync(secretFile, password, { mode: 0o600 });
  const given = encodeURIComponent(password);
  const url = `mysql://${user}:${given}@${mysql.host}:${mysql.port}/${database}`;
  const target = `kafka://${kafka.brokers[0] ?? ""}`;
  try {
    for (const [where, args] of [
      ["--set", ["--set", `source.password=${password}`]],
      ["a wrong --set", ["--set", `source.pasword=${password}`]],
      ["a file", ["--set", `source.password_file=${secretFile}`]],
      ["a URL", [url, target]],
      ["a wrong URL", [`${url}/x`, target]],
      ["a URL of nobody", [url.replace(user, "nobody"), target]],
    ] as const) {
      for (const command of ["config", "check"]) {
        await search(`${command}, ${where}`, place.run([command, ...args]));
      }
    }
    await search("check", place.run(["check"]));
    await search("check --json", place.run(["check", "--json"], WRONG_PASSWORD));
    const debug = ["--log-level", "debug"];
    await search("run", place.run(["run", ...debug], WRONG_PASSWORD));
    await search("position show", place.run(["position", "show"]));
    await search("decode", place.run(["decode", url, "--start", "earliest", "--limit", "1"]));

    const port = await freePort();
    const running = place.start(["run", ...debug, "--set", `http.port=${port}`]);
    const page = async (path: string): Promise<string> =>
      (await fetch(`http://127.0.0.1:${port}${path}`)).text();
    await until("the pages are there", () =>
      page("/metrics").then(
        text => /tidemark_.*released/.test(text),
        () => false,
      ),
    );
    await ask(mysql, `INSERT INTO ${database}.orders VALUES (1, 'a')`);
    for (const path of PAGES) {
      const text = await page(path);
      searched += 1;
      if (holdsSecret(text, password)) leaks.push(path);
    }
    running.kill("SIGTERM");
    await search("the log of a run", running.ended);
    return { searched, leaks };
  } finally {
    await ask(mysql, `DROP DATABASE ${database}`, `DROP USER ${user}@'%'`);
    place.remove();
  }
}
