/** docs/configuration.md and docs/configuration.schema.json. */
import { schemaTree, type Node } from "./schema-node.ts";

const INTRODUCTION = `# Configuration

<!-- Made from src/config/schema.ts by tools/generate-docs.ts. Change it there. -->

One YAML file: \`--config FILE\`, otherwise \`./tidemark.yaml\`. \`tidemark config\` checks it and prints what
results, with every default and without secrets. Unknown keys are errors. All errors are shown at once, each
with its path, and none repeats a value. Editors can check the file with
[configuration.schema.json](configuration.schema.json); whole files are in [examples](../examples).

- **Environment.** \`\${NAME}\` in a value is replaced by the environment variable, \`\${NAME:-default}\` by the
  default if the variable is not set or empty; the default may hold placeholders, as in \`\${TOPIC:-{table}}\`.
  \`$\${\` is a literal \`\${\`. Inside \`{ … }\` and \`[ … ]\`, YAML needs quotes around such a value. What is put
  in is not looked at again.
- **Command line.** \`--set pipelines.shop.sink.topic=changes\` changes one value; pipelines go by their name. A list
  is written as JSON: \`--set 'pipelines.shop.tables=["shop.*"]'\`. \`--log-level\` is short for \`--set log.level=…\`.
- **Sizes** are bytes, or a number with \`KB\`, \`MB\` or \`GB\` (1 MB = 1024 × 1024 bytes).
- **Paths** of files are relative to the working directory.
- **Secrets** are best kept in files (\`password_file\`) that only Tidemark's user can read; the environment of a
  process is easier to see.

Without a file, a source and a target are enough. The pipeline has the database's name (\`--name\` changes it)
and captures all its tables; the password comes from \`TIDEMARK_MYSQL_PASSWORD\`; the commit log is in the folder
\`tidemark-state\` unless the target is Kafka:

\`\`\`
tidemark run mysql://cdc@127.0.0.1/shop kafka://127.0.0.1:9092
tidemark run mysql://cdc@127.0.0.1/shop file:./changes.jsonl
tidemark run mysql://cdc@127.0.0.1/shop stdout:
\`\`\`
`;

export function configurationPage(): string {
  const tree = schemaTree();
  const parts = [INTRODUCTION, section("Top level", "", { ...tree, description: "" })];
  return `${parts.join("\n").trimEnd()}\n`;
}

/** A heading, a table of the keys, and the sections below it. */
function section(title: string, path: string, node: Node): string {
  const rows: string[] = [];
  const below: string[] = [];
  for (const [key, child] of Object.entries(node.properties ?? {})) {
    rows.push(row(key, child, (node.required ?? []).includes(key)));
    for (const option of namedOptions(key, child)) rows.push(option);
    below.push(...sectionsBelow(path === "" ? key : `${path}.${key}`, child));
  }
  const table = ["| key | value | default | |", "|---|---|---|---|", ...rows].join("\n");
  const lead =
    node.description === undefined || node.description === "" ? "" : `${node.description}\n\n`;
  return [`## ${title}\n\n${lead}${table}\n`, ...below].join("\n");
}

function sectionsBelow(path: string, node: Node): string[] {
  if (node.properties !== undefined) return [section(code(path), path, node)];
  if (node.items?.properties !== undefined) {
    const description = node.description ?? "";
    return [section(code(`${path}[]`), `${path}[]`, { ...node.items, description })];
  }
  return (node.oneOf ?? []).map(branch => {
    const type = JSON.stringify(branch.properties?.["type"]?.const).replaceAll('"', "");
    return section(`${code(path)}, type \`${type}\``, path, branch);
  });
}

/** Rows for the keys of a value that is a word or an object, such as `source.start`. */
function namedOptions(key: string, node: Node): string[] {
  return (node.anyOf ?? []).flatMap(branch =>
    Object.entries(branch.properties ?? {}).map(([name, child]) =>
      row(`${key}.${name}`, child, false),
    ),
  );
}

function row(key: string, node: Node, isRequired: boolean): string {
  const hasDefault = node.default !== undefined && !isSection(node);
  const standard = hasDefault ? code(JSON.stringify(node.default)) : isRequired ? "required" : "";
  return `| ${code(key)} | ${valueText(node)} | ${standard} | ${escape(node.description ?? "")} |`;
}

const isSection = (node: Node): boolean =>
  node.properties !== undefined || node.oneOf !== undefined;

function valueText(node: Node): string {
  if (node.properties !== undefined || node.oneOf !== undefined) return "see below";
  if (node.const !== undefined) return code(JSON.stringify(node.const).replaceAll('"', ""));
  if (node.enum !== undefined) return node.enum.map(word => code(String(word))).join(", ");
  if (node.items !== undefined) {
    return node.items.properties === undefined
      ? `list of ${valueText(node.items)}`
      : "list, see below";
  }
  if (node.anyOf !== undefined) return unionText(node.anyOf);
  if (node.type === "integer") return `whole number, ${range(node)}`;
  if (node.type === "boolean") return "`true`, `false`";
  if (node.type === "object") return "settings by name";
  return "text";
}

function unionText(branches: readonly Node[]): string {
  const types = branches.map(branch => branch.type).join();
  if (types === "integer,string") return "size";
  return branches
    .map(branch =>
      branch.properties === undefined
        ? valueText(branch)
        : code(`{ ${Object.keys(branch.properties).join(", ")} }`),
    )
    .join(", ");
}

function range({ minimum, maximum }: Node): string {
  if (maximum === undefined || maximum === Number.MAX_SAFE_INTEGER)
    return `${minimum ?? ""} or more`;
  return `${minimum ?? ""} to ${maximum}`;
}

const code = (text: string): string => `\`${escape(text)}\``;
const escape = (text: string): string => text.replaceAll("|", "\\|");

/** For editors. */
export function configurationSchema(): object {
  return { title: "Tidemark configuration", ...allowReferences(schemaTree()) };
}

/** Where a number or a word is expected, `${NAME}` is right too; and `format` may be a word. */
function allowReferences(node: Node): Node {
  const children: Node = { ...node };
  if (node.items !== undefined) children.items = allowReferences(node.items);
  if (node.anyOf !== undefined) children.anyOf = node.anyOf.map(allowReferences);
  if (node.oneOf !== undefined) children.oneOf = node.oneOf.map(allowReferences);
  if (node.properties !== undefined) {
    children.properties = Object.fromEntries(
      Object.entries(node.properties).map(([key, child]) => [
        key,
        key === "format" && child.properties !== undefined
          ? orWord(allowReferences(child), child.properties["type"]?.enum ?? [])
          : allowReferences(child),
      ]),
    );
  }
  const isFixed = node.type === "integer" || node.type === "boolean" || node.enum !== undefined;
  return isFixed ? either(children, { type: "string", pattern: "\\$\\{" }) : children;
}

const orWord = (section: Node, words: readonly unknown[]): Node =>
  either(section, { type: "string", enum: [...words] });

function either(node: Node, other: Node): Node {
  const { description, default: standard, ...own } = node;
  return {
    ...(description === undefined ? {} : { description }),
    ...(standard === undefined ? {} : { default: standard }),
    anyOf: [own, other],
  };
}
