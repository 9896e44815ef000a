/** `--set pipelines.shop.sink.topic=x`: changes one value of a document before it is checked. */
import { TidemarkError } from "../core/errors.ts";
import { isRecord } from "./faults.ts";

type Keys = Record<string, unknown>;

/**
 * Lists are entered by the name of their item; keys on the way that do not exist are made. The value is
 * text, or a list or an object if it is one in JSON (`["shop.*"]`). It is taken as it is, without `${…}`.
 *
 * @throws TidemarkError USAGE that names the path, never the value.
 */
export function applyOverrides(document: unknown, overrides: readonly string[]): unknown {
  const changed = isRecord(document) ? structuredClone(document) : {};
  for (const override of overrides) applyOverride(changed, override);
  return changed;
}

function applyOverride(document: unknown, override: string): void {
  const equals = override.indexOf("=");
  const path = equals < 0 ? "" : override.slice(0, equals);
  if (!/^[\w-]+(\.[\w-]+)*$/.test(path)) {
    throw new TidemarkError(
      "USAGE",
      "--set expects path=value, such as --set pipelines.shop.sink.topic=changes.",
    );
  }
  const { parents, key } = splitPath(path);
  let target = document;
  for (const [depth, parent] of parents.entries()) {
    target = enter(target, parent, parents.slice(0, depth + 1).join("."));
  }
  if (!isRecord(target)) throw notASection(parents.join("."));
  define(target, key, parseValue(override.slice(equals + 1)));
}

/** The names of Kafka's settings have dots of their own. */
function splitPath(path: string): { parents: readonly string[]; key: string } {
  const [, before, setting] = /^(.*\.create_topics\.config)\.(.+)$/.exec(path) ?? [];
  if (before !== undefined && setting !== undefined) {
    return { parents: before.split("."), key: setting };
  }
  const keys = path.split(".");
  return { parents: keys.slice(0, -1), key: keys.at(-1) ?? "" };
}

function enter(target: unknown, key: string, path: string): unknown {
  if (Array.isArray(target)) {
    const item: unknown = target.find(
      candidate => isRecord(candidate) && candidate["name"] === key,
    );
    if (item === undefined)
      throw new TidemarkError("USAGE", `--set ${path}: there is no such item.`);
    return item;
  }
  if (!isRecord(target)) throw notASection(path);
  const present = Object.hasOwn(target, key) ? target[key] : undefined;
  if (present !== undefined && present !== null) return present;
  const made: Keys = {};
  define(target, key, made);
  return made;
}

function notASection(path: string): TidemarkError {
  return new TidemarkError("USAGE", `--set ${path}: there are no keys below this one.`);
}

/** Unlike an assignment this gives `__proto__` no special meaning. */
function define(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

function parseValue(text: string): unknown {
  if (!/^[[{]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text; // Such as the topic template {database}.
  }
}
