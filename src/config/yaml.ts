/** Reads YAML. Its own messages quote the text around an error, so only their place and kind are used. */
import { isMap, parseDocument } from "yaml";
import { TidemarkError } from "../core/errors.ts";

const KINDS: Readonly<Record<string, string>> = {
  ALIAS_PROPS: "an alias cannot have an anchor or a tag",
  BAD_ALIAS: "an alias that is not valid",
  BAD_DQ_ESCAPE: 'a backslash in "…" that is not followed by a known letter',
  BAD_INDENT: "wrong indentation",
  BAD_SCALAR_START: "a text that begins with a special character must be put in quotes",
  BLOCK_AS_IMPLICIT_KEY: "a colon that seems to start keys inside a value",
  DUPLICATE_KEY: "a key that is there twice",
  MISSING_CHAR: "a quote, bracket or space that is missing",
  MULTIPLE_DOCS: "more than one document",
  MULTILINE_IMPLICIT_KEY: "a key that is not followed by a colon",
  TAB_AS_INDENT: "a tab in the indentation",
  TAG_RESOLVE_FAILED: "a tag that is not known",
};

/** One mistake makes the parser see others in all that follows. */
const SHOWN_MAX = 3;

function kindOf(code: string, before: string): string {
  if (code === "UNEXPECTED_TOKEN" && /\$\{?$/.test(before)) {
    return 'inside { … } and [ … ], "${NAME}" must be put in quotes';
  }
  return KINDS[code] ?? "something that YAML does not allow";
}

/**
 * @param name names the file in messages.
 * @throws TidemarkError CONFIG_INVALID
 */
export function parseYaml(text: string, name: string): unknown {
  const document = parseDocument(text, { prettyErrors: false, logLevel: "silent" });
  const faults = [...document.errors, ...document.warnings].slice(0, SHOWN_MAX).map(error => {
    const before = text.slice(0, error.pos[0]).split("\n");
    const line = before.at(-1) ?? "";
    return `\n  line ${before.length}, column ${line.length + 1}: ${kindOf(error.code, line)}`;
  });
  if (faults.length > 0) {
    throw new TidemarkError("CONFIG_INVALID", `${name} is not valid YAML:${faults.join("")}`);
  }
  if (!isMap(document.contents)) {
    throw new TidemarkError(
      "CONFIG_INVALID",
      `${name} must hold keys such as source and pipelines.`,
    );
  }
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch {
    throw new TidemarkError("CONFIG_INVALID", `${name} has an alias that cannot be resolved.`);
  }
}
