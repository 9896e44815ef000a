/** docker-compose.yml as the tests see it: parsed, with the defaults of its variables put in. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { root } from "../support/bundle.ts";

export interface ComposeService {
  readonly image: string;
  readonly build?: string;
  readonly profiles?: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly stop_grace_period?: string;
}

export interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

export const composeText = readFileSync(join(root, "docker-compose.yml"), "utf8");

/** Name → default of each `${NAME:-default}` in the file. */
export const variables: ReadonlyMap<string, string> = new Map(
  Array.from(composeText.matchAll(/\$\{(\w+):-([^}]*)\}/g), ([, name = "", value = ""]) => [
    name,
    value,
  ]),
);

export const compose = parse(
  composeText.replaceAll(/\$\{(\w+):-([^}]*)\}/g, (_, name: string) => variables.get(name) ?? ""),
  { merge: true },
) as ComposeFile;

export function service(name: string): ComposeService {
  const found = compose.services[name];
  if (!found) throw new Error(`docker-compose.yml has no service ${name}`);
  return found;
}

/** The statements of a file for the mysql client, whose DELIMITER only the client knows. */
export function statements(sql: string): string[] {
  const found: string[] = [];
  let delimiter = ";";
  let statement = "";
  for (const line of sql.split("\n")) {
    const [, next] = /^DELIMITER (\S+)$/.exec(line) ?? [];
    if (next !== undefined) {
      delimiter = next;
    } else if (line.trimEnd().endsWith(delimiter)) {
      found.push(statement + line.trimEnd().slice(0, -delimiter.length));
      statement = "";
    } else if (!line.startsWith("--")) {
      statement += `${line}\n`;
    }
  }
  if (statement.trim() !== "") throw new Error(`no "${delimiter}" after: ${statement}`);
  return found;
}
