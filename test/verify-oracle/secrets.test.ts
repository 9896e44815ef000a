import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fileHoldsSecret, holdsSecret } from "../verify/secrets.ts";

const SECRET = "a b-Pa55";
const CHUNK_BYTES = 1 << 20;

test("is found as it is, and as it stands in a URL", () => {
  expect(holdsSecret(`password ${SECRET}.`, SECRET)).toBe(true);
  expect(holdsSecret("mysql://cdc:a%20b-Pa55@h/", SECRET)).toBe(true);
  expect(holdsSecret("password ********", SECRET)).toBe(false);
});

describe("in a file", () => {
  const path = join(mkdtempSync(join(tmpdir(), "tidemark-secrets-")), "log");
  const holds = (...parts: readonly string[]): boolean => {
    writeFileSync(path, parts.join(""));
    return fileHoldsSecret(path, SECRET);
  };

  test.each([0, 1, SECRET.length - 1, SECRET.length, 100])(
    "is found %i bytes before the border of two chunks",
    before => expect(holds("x".repeat(CHUNK_BYTES - before), SECRET, "rest")).toBe(true),
  );

  test("is not found where it is not, or where there is no file", () => {
    expect(holds("x".repeat(CHUNK_BYTES), SECRET.slice(1))).toBe(false);
    expect(fileHoldsSecret("/nowhere", SECRET)).toBe(false);
  });
});
