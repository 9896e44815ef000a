/** docs/errors.md: the table of codes, with the doc comment of each. */
import { errorCodes, type Reaction } from "../../src/core/errors.ts";

const REACTIONS: Readonly<Record<Reaction, string>> = {
  retry: "waits and tries again, for ever",
  restart: "begins again from its commit log",
  halt: "ends; a person is needed",
};

const INTRODUCTION = `# Errors

<!-- Made from src/core/errors.ts by tools/generate-docs.ts. Change it there. -->

Every error is logged once, as a sentence with its code. None advances a checkpoint: whatever was not delivered
is read again. The exit code is that of the process if the error ends it; a code that is waited for ends it only
where a time limit was asked for (\`--connect-timeout\`). A second SIGINT or SIGTERM ends it with 130 or 143.

| code | exit code | Tidemark | what it means |
|---|---|---|---|
`;

/** @throws Error if a code has no doc comment. */
export function errorsPage(source: string): string {
  const rows = Object.entries(errorCodes).map(([code, { reaction, exitCode }]) => {
    const meaning = docComment(source, code).replaceAll("|", "\\|");
    const effect = exitCode === 0 ? "ends" : REACTIONS[reaction];
    return `| \`${code}\` | ${exitCode} | ${effect} | ${meaning} |\n`;
  });
  return INTRODUCTION + rows.join("");
}

function docComment(source: string, code: string): string {
  const found = new RegExp(`/\\*\\*((?:(?!\\*/)[\\s\\S])*)\\*/\\s*${code}: \\{`).exec(source);
  if (found?.[1] === undefined) throw new Error(`${code} has no doc comment`);
  return found[1].replaceAll(/\s*\n\s*\*?\s*/g, " ").trim();
}
