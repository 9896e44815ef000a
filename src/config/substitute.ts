/**
 * Puts environment variables into the texts of a parsed document: `${NAME}`, `${NAME:-default}` (in which
 * a placeholder such as `{table}` may stand), and `$${` for a literal `${`. It works on parsed texts and not on the file, so that a password with a
 * quote or a colon in it cannot change the document's structure. What is put in is not looked at again.
 */
import type { Environment } from "./environment.ts";
import type { Faults, Path } from "./faults.ts";

const DEPTH_MAX = 32;
const NODES_MAX = 100_000;
const REFERENCE = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-((?:\{[^{}]*\}|[^}])*))?\}|\$\{/g;

/** @returns a copy of the document; aliases become copies too. */
export function substitute(document: unknown, environment: Environment, faults: Faults): unknown {
  let nodes = 0;

  const walk = (value: unknown, path: Path): unknown => {
    nodes += 1;
    if (nodes > NODES_MAX || path.length > DEPTH_MAX) {
      faults.add([], "has too many values, or too many levels");
      return undefined;
    }
    if (typeof value === "string") return replace(value, path);
    if (Array.isArray(value)) return value.map((item, index) => walk(item, [...path, index]));
    if (typeof value !== "object" || value === null) return value;
    // fromEntries defines a key such as __proto__ as what it is: a key that the schema does not know.
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, walk(item, [...path, key])]),
    );
  };

  const replace = (text: string, path: Path): string =>
    text.replace(REFERENCE, (found, name?: string, fallback?: string) => {
      if (found === "$${") return "${";
      if (name === undefined) {
        faults.add(path, "expected a name in ${…}; write $${ for a dollar sign and a brace");
        return "";
      }
      const value = environment[name];
      if (fallback !== undefined) return value === undefined || value === "" ? fallback : value;
      if (value === undefined) faults.add(path, `the environment variable ${name} is not set`);
      return value ?? "";
    });

  return walk(document, []);
}
