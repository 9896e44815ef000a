/** What a statement says beside names and keywords: texts, numbers, comments. Values of hidden columns may stand there. */

const STRING = "'(?:[^'\\\\]|\\\\[\\s\\S]|'')*'";
const QUOTED = '"(?:[^"\\\\]|\\\\[\\s\\S]|"")*"';
const COMMENT = "/\\*(?!M?!)[\\s\\S]*?\\*/|--\\s[^\\n]*|#[^\\n]*";
const NAME = "`(?:[^`]|``)*`|[A-Za-z_$\\u0080-\\uffff@][\\w$\\u0080-\\uffff@]*";
const VERSION = "/\\*M?!\\d*";
const NUMBER = "\\d[\\w.]*";

const WORDS = new RegExp(`(${NAME}|${VERSION})|(${COMMENT})|${STRING}|${QUOTED}|${NUMBER}`, "g");
/** Options of a table that hold a password. */
const SECRETS = new RegExp(
  `(${NAME})(\\s*=?\\s*)(?:${STRING}|${QUOTED})|${COMMENT}|${STRING}|${QUOTED}`,
  "g",
);
const IS_SECRET = /^(?:connection|password)$/i;

/** With `?` in the place of each text and number, and without comments. */
export function withoutLiterals(statement: string): string {
  return statement.replace(WORDS, (_, name?: string, comment?: string) => {
    return name ?? (comment === undefined ? "?" : " ");
  });
}

/** With `?` in the place of each text, as in the type `enum(?,?)`. */
export function withoutTexts(type: string): string {
  return type.replace(new RegExp(STRING, "g"), "?");
}

/** With `?` in the place of the password of a table that stands on another server. */
export function withoutSecrets(statement: string): string {
  return statement.replace(SECRETS, (whole, name?: string, between = "") =>
    name !== undefined && IS_SECRET.test(name) ? `${name}${between as string}?` : whole,
  );
}
