import { describe, expect, test } from "vitest";
import type { SourceConfig } from "../../src/config/config.ts";
import { TidemarkError, type ErrorCode } from "../../src/core/errors.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { SourceHosts } from "../../src/pipeline/hosts.ts";
import { ManualClock } from "../support/manual-clock.ts";

const clock = new ManualClock();

function hostsOf(...names: readonly string[]): SourceHosts {
  const hosts = names.map(host => ({ host, port: 3306 }));
  const source: SourceConfig = {
    ...{ host: names[0] ?? "", port: 3306, hosts, user: "u", password: "", reader: "native" },
    ...{
      serverId: 1,
      start: { kind: "latest" },
      snapshot: {
        mode: "never",
        tables: ["*.*"],
        batchRows: undefined,
        parallelTables: 1,
        rowsPerS: Infinity,
        where: {},
        quiesced: false,
        noKey: "refuse",
        replica: undefined,
      },
      xa: "stop",
      onLostPosition: "stop",
    },
    tls: { mode: "disabled", ca: undefined, cert: undefined, key: undefined },
  };
  return new SourceHosts({ source, clock, logger: silentLogger });
}

/** Each host in turn is fit, or fails with this error. */
async function chosen(
  hosts: SourceHosts,
  ...answers: readonly ("fit" | readonly [ErrorCode, string])[]
): Promise<string> {
  let asked = 0;
  try {
    return await hosts.choose(() => {
      const answer = answers[asked] ?? "fit";
      asked += 1;
      if (answer === "fit") return Promise.resolve(hosts).then(() => `host ${asked}`);
      return Promise.reject(new TidemarkError(...answer));
    });
  } catch (thrown) {
    const { code, message } = thrown as TidemarkError;
    return `${code}: ${message}`;
  }
}

const DOWN = ["SOURCE_UNAVAILABLE", "It is down."] as const;
const BEHIND = ["SOURCE_BEHIND", "It lacks a:7."] as const;
const ERRANT = ["POSITION_UNUSABLE", "It lacks a:7 for good."] as const;
const LOST = ["POSITION_LOST", "It has purged a:5."] as const;

describe("the first that is fit is read", () => {
  test.each([
    [["fit", "fit"], "host 1", "a:3306"],
    [[DOWN, "fit"], "host 2", "b:3306"],
    [[BEHIND, "fit"], "host 2", "b:3306"],
    [[ERRANT, "fit"], "host 2", "b:3306"],
    [[LOST, "fit"], "host 2", "b:3306"],
    [[["ACCESS_DENIED", "No."], "fit"], "host 2", "b:3306"],
  ] as const)("of %j", async (answers, result, name) => {
    const hosts = hostsOf("a", "b");
    expect(await chosen(hosts, ...answers)).toBe(result);
    expect(hosts.name).toBe(name);
    expect(hosts.connection).toMatchObject({ host: name.slice(0, 1), port: 3306, user: "u" });
  });

  test("and the more preferred one again, once it is fit", async () => {
    const hosts = hostsOf("a", "b");
    await chosen(hosts, DOWN, "fit");
    await chosen(hosts, "fit", "fit");
    expect(hosts.name).toBe("a:3306");
  });
});

describe("where none is fit", () => {
  test("what is down or behind is waited for, and named", async () => {
    const hosts = hostsOf("a", "b");
    const both = "a:3306: It is down. b:3306: It lacks a:7.";
    expect(await chosen(hosts, DOWN, BEHIND)).toBe(`SOURCE_BEHIND: ${both}`);
    expect(await chosen(hosts, LOST, DOWN)).toMatch(/^SOURCE_UNAVAILABLE: /);
    expect(await chosen(hosts, ["ACCESS_DENIED", "No."], DOWN)).toMatch(/^SOURCE_UNAVAILABLE: /);
  });

  test("one that is behind and gets nothing is wrong after a while", async () => {
    const hosts = hostsOf("a", "b");
    await chosen(hosts, DOWN, BEHIND);
    clock.advance(299_000);
    expect(await chosen(hosts, DOWN, BEHIND)).toMatch(/^SOURCE_BEHIND/);
    expect(await chosen(hosts, DOWN, ["SOURCE_BEHIND", "It lacks less."])).toMatch(
      /^SOURCE_BEHIND/,
    );
    clock.advance(299_000);
    await chosen(hosts, DOWN, ["SOURCE_BEHIND", "It lacks less."]);
    clock.advance(2_000);
    expect(await chosen(hosts, DOWN, ["SOURCE_BEHIND", "It lacks less."])).toBe(
      "POSITION_UNUSABLE: b:3306: It lacks less. It got nothing of them in 300 s.",
    );
  });

  test("one that lacks transactions for good is wrong at once where all have answered", async () => {
    const told = "POSITION_UNUSABLE: b:3306: It lacks a:7 for good.";
    expect(await chosen(hostsOf("a", "b"), LOST, ERRANT)).toBe(told);
    const only = hostsOf("b");
    expect(await chosen(only, ERRANT)).toBe("POSITION_UNUSABLE: It lacks a:7 for good.");
  });

  test("what one has purged is lost after a while, in which another may come back that has it", async () => {
    const hosts = hostsOf("a", "b");
    expect(await chosen(hosts, DOWN, LOST)).toMatch(/^SOURCE_UNAVAILABLE: /);
    clock.advance(59_000);
    expect(await chosen(hosts, DOWN, LOST)).toMatch(/^SOURCE_UNAVAILABLE: /);
    clock.advance(2_000);
    expect(await chosen(hosts, DOWN, LOST)).toMatch(/^POSITION_LOST: .*It has purged a:5/);
  });

  test("while another is down, it is wrong after a while", async () => {
    const hosts = hostsOf("a", "b");
    expect(await chosen(hosts, DOWN, ERRANT)).toMatch(/^SOURCE_UNAVAILABLE: .*for good/);
    clock.advance(61_000);
    expect(await chosen(hosts, DOWN, ERRANT)).toBe(
      "POSITION_UNUSABLE: b:3306: It lacks a:7 for good.",
    );
  });

  test("what nobody can mend by waiting ends the pipeline", async () => {
    expect(await chosen(hostsOf("a", "b"), LOST, LOST)).toMatch(/^POSITION_LOST: a:3306: .*b:3306/);
    expect(await chosen(hostsOf("a"), LOST)).toBe("POSITION_LOST: It has purged a:5.");
  });
});
