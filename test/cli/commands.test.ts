import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { parsePlace } from "../../src/config/place.ts";
import { withoutPasswords } from "../../src/decode/event-line.ts";
import { fileEnd } from "../../src/position/ends.ts";
import { buildBundle, runBundle } from "../support/bundle.ts";

let bundle = "";
const folder = mkdtempSync(join(tmpdir(), "tidemark-commands-"));
beforeAll(() => {
  bundle = buildBundle();
});

const COMMANDS = [
  "run",
  "config",
  "check",
  "position",
  "position show",
  "position set",
  "redeliver",
  "snapshot",
  "decode",
  "activity",
  "completion",
];

test.each(COMMANDS)("the help of %s has examples", command => {
  const { status, stdout } = runBundle(bundle, [...command.split(" "), "--help"], { cwd: folder });
  expect(status).toBe(0);
  expect(stdout).toContain("\nExamples:\n  ");
});

describe("decode of files", () => {
  const recording = new URL("../binlog/recordings/mysql-9.binlog", import.meta.url).pathname;
  const decode = (...args: string[]): ReturnType<typeof runBundle> =>
    runBundle(bundle, ["decode", ...args], { cwd: folder });

  test("prints them, up to the limit", () => {
    const { status, stdout, stderr } = decode(recording, "--tables", "d.plain", "--limit", "3");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout.trim().split("\n")).toHaveLength(3);
  });

  test.each([
    [["nothing.000001"], 64, /There is no file nothing\.000001; decode takes binlog files/],
    [[recording, "--start", "latest"], 64, /--start is for a server/],
    [[recording, "mysql://a@127.0.0.1/b"], 64, /one server, or files/],
    [["bundle.mjs", "--set", "a=b"], 64, /--set is for a server/],
    [[new URL(import.meta.url).pathname], 65, /is no binlog file/],
  ])("%j ends with %i", (args, code, reason) => {
    const { status, stdout, stderr } = decode(...args);
    expect({ status, stdout }).toEqual({ status: code, stdout: "" });
    expect(stderr).toMatch(reason);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});

describe("completion", () => {
  const script = (shell: string): string =>
    runBundle(bundle, ["completion", shell], { cwd: folder }).stdout;

  test.each([
    ["tidemark ", "", ["run", "check", "position", "decode", "--version"]],
    ["tidemark po", "po", ["position"]],
    ["tidemark position s", "s", ["show", "set"]],
    ["tidemark position set --pi", "--pi", ["--pipeline"]],
    ["tidemark check --config x --js", "--js", ["--json"]],
  ])("in bash, of %j", (line, current, wanted) => {
    const words = [...line.split(" ").slice(0, -1), current];
    const probe = `${script("bash")}
COMP_WORDS=(${words.map(word => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}
_tidemark; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const found = execFileSync("bash", ["-c", probe], { encoding: "utf8" }).trim().split("\n");
    expect(found).toEqual(expect.arrayContaining([...wanted]));
    for (const word of found) expect(word.startsWith(current)).toBe(true);
  });

  test("names every command in the other shells too", () => {
    for (const shell of ["zsh", "fish"]) {
      for (const command of COMMANDS) expect(script(shell)).toContain(command.split(" ").at(-1));
    }
    expect(runBundle(bundle, ["completion", "csh"], { cwd: folder }).status).toBe(64);
  });
});

describe("a place", () => {
  test.each([
    ["latest", { kind: "latest" }],
    ["binlog.000003:4711", { kind: "position", file: "binlog.000003", position: 4711 }],
    ["0-1-42,1-2-3", { kind: "gtid-set", gtidSet: "0-1-42,1-2-3" }],
    ["my-log.bin.000003:4", { kind: "position", file: "my-log.bin.000003", position: 4 }],
    [
      "6db3edf2-e588-11f1-8730-02fc00000001:1-5, 7db3edf2-e588-11f1-8730-02fc00000001:7",
      {
        kind: "gtid-set",
        gtidSet: "6db3edf2-e588-11f1-8730-02fc00000001:1-5,7db3edf2-e588-11f1-8730-02fc00000001:7",
      },
    ],
  ])("%s", (text, place) => expect(parsePlace(text)).toEqual(place));

  test.each(["", "now", "binlog.000003", "binlog.000003:3", "binlog:4", "1-2"])(
    "%j is none",
    text => {
      let thrown: unknown;
      try {
        parsePlace(text);
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toMatchObject({ code: "USAGE" });
    },
  );
});

test.each([
  ["CREATE USER a IDENTIFIED BY 'x''y\\'z'", "CREATE USER a IDENTIFIED BY '********'"],
  ["ALTER USER a IDENTIFIED WITH 'p' AS '$A$hash'", "ALTER USER a IDENTIFIED WITH '********'"],
  ["SET PASSWORD FOR 'a'@'%' = 'x'", "SET PASSWORD FOR '********'@'%' = 'x'"],
  ["CREATE TABLE t (a INT)", "CREATE TABLE t (a INT)"],
])("%s is shown without its password", (sql, shown) => {
  // The binlog never holds SET PASSWORD as it was typed: MySQL rewrites it to ALTER USER.
  expect(withoutPasswords(sql)).toBe(shown);
});

test.each([
  ["", { end: 0, tornBytes: 0 }],
  ["a\nbc\n", { end: 5, tornBytes: 0 }],
  ["a\nbc", { end: 2, tornBytes: 2 }],
  [`${"x".repeat(70_000)}\n${"y".repeat(150_000)}`, { end: 70_001, tornBytes: 150_000 }],
  ["torn", { end: 0, tornBytes: 4 }],
])("the end of whole lines in %#", async (text, end) => {
  const path = join(folder, "lines");
  writeFileSync(path, text);
  expect(await fileEnd(path)).toEqual(end);
  expect(await fileEnd(`${path}-none`)).toEqual({ end: 0, tornBytes: 0 });
});
