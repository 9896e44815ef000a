/** A small part of what `npm run verify -- product --only config` does. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { generated, PLANTED } from "./generated.ts";
import { errorOf, parse } from "./support.ts";

test("every fault of a generated configuration is named, and no other", () => {
  const dir = mkdtempSync(join(tmpdir(), "tidemark-generated-"));
  const secret = join(dir, "secret");
  writeFileSync(secret, PLANTED, { mode: 0o600 });
  fc.assert(
    fc.property(generated({ secret, missing: join(dir, "missing") }), one => {
      const load = (): unknown => parse(one.text, one);
      if (one.faults.length === 0) {
        expect(load).not.toThrow();
        return;
      }
      const { code, message } = errorOf(load);
      const lines = message.split("\n").slice(1);
      const paths = lines.map(line => line.slice(0, line.indexOf(": ")).trim());
      expect(paths.sort()).toEqual(one.faults);
      expect(code).toBe("CONFIG_INVALID");
      expect(message).not.toContain(PLANTED);
    }),
    // Shrinking takes minutes, and the document that failed is small enough to read.
    { numRuns: 200, endOnFailure: true },
  );
});
