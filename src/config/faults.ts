/**
 * What is wrong with a configuration, collected so that all of it is shown at once. A fault names its
 * place and what is expected there, and never repeats a value: the value may be a secret in a wrong place.
 */
import type { z } from "zod";
import { TidemarkError } from "../core/errors.ts";

export type Path = readonly PropertyKey[];

export class Faults {
  /** By place, so that what follows from a fault in the same place is not listed too. */
  readonly #lines = new Map<string, string>();
  readonly #document: unknown;

  /** The document is looked at for the names of list items, and to tell what is missing from what is wrong. */
  constructor(document: unknown) {
    this.#document = document;
  }

  add(path: Path, message: string): void {
    const key = JSON.stringify(path);
    if (this.#lines.has(key)) return;
    const where = printPath(path, this.#document);
    this.#lines.set(key, `${where === "" ? "" : `${where}: `}${message}`);
  }

  merge(other: Faults): void {
    for (const [key, line] of other.#lines) this.#lines.set(key, line);
  }

  addIssues(issues: readonly z.core.$ZodIssue[], prefix: Path = []): void {
    for (const issue of issues) this.#addIssue(issue, [...prefix, ...issue.path]);
  }

  #addIssue(issue: z.core.$ZodIssue, path: Path): void {
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) this.add([...path, key], "there is no such key");
    } else if (issue.code === "invalid_key") {
      this.add(path, "this key cannot be used");
    } else {
      this.add(path, `${this.#absence(path)}${expectation(issue)}`);
    }
  }

  #absence(path: Path): string {
    if (!isRecord(valueAt(this.#document, path.slice(0, -1)))) return "";
    const value = valueAt(this.#document, path);
    if (value === null) return "has no value: ";
    return value === undefined ? "is required: " : "";
  }

  /** @throws TidemarkError CONFIG_INVALID that lists every fault, if there is one. */
  throwIfAny(name: string): void {
    if (this.#lines.size === 0) return;
    const lines = [...this.#lines.values()].map(line => `\n  ${line}`);
    const count = lines.length === 1 ? "1 fault" : `${lines.length} faults`;
    throw new TidemarkError("CONFIG_INVALID", `${name} has ${count}:${lines.join("")}`);
  }
}

function expectation(issue: z.core.$ZodIssue): string {
  const isPlain = issue.message.startsWith("Invalid input");
  if (isPlain && issue.code === "invalid_type" && issue.expected === "object") {
    return "expected keys and values";
  }
  return issue.message;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function valueAt(document: unknown, path: Path): unknown {
  let value = document;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Readonly<Record<PropertyKey, unknown>>)[key];
  }
  return value;
}

const KEY_LENGTH_MAX = 60;

/** `pipelines.shop.sink.topic`; an item that has no name of its own is shown by its index, from 0. */
export function printPath(path: Path, document: unknown): string {
  let printed = "";
  for (const [index, key] of path.entries()) {
    if (typeof key === "number") {
      const name = itemName(valueAt(document, path.slice(0, index)), key);
      printed += name === undefined ? `[${key}]` : `.${name}`;
    } else {
      printed += `.${printKey(String(key))}`;
    }
  }
  return printed.replace(/^\./, "");
}

function itemName(list: unknown, index: number): string | undefined {
  if (!Array.isArray(list)) return undefined;
  const names = list.map((item: unknown) => (isRecord(item) ? item["name"] : undefined));
  const name = names[index];
  const isName = typeof name === "string" && /^[a-z0-9_-]{1,100}$/.test(name);
  return isName && names.indexOf(name) === names.lastIndexOf(name) ? name : undefined;
}

function printKey(key: string): string {
  const short = key.length > KEY_LENGTH_MAX ? `${key.slice(0, KEY_LENGTH_MAX)}…` : key;
  return /^[\w.-]+…?$/.test(short) ? short : JSON.stringify(short);
}
