/** Where two values differ: the innermost places, each with what stands there on either side. */
import { Digits, type ExactValue } from "../types/exact-json.ts";

export interface Difference {
  /** Field names from the outside in; `value after price`. */
  readonly path: readonly string[];
  /** Undefined: not there. */
  readonly debezium: ExactValue | undefined;
  readonly tidemark: ExactValue | undefined;
}

export function differences(
  path: readonly string[],
  debezium: ExactValue | undefined,
  tidemark: ExactValue | undefined,
): Difference[] {
  if (isObject(debezium) && isObject(tidemark)) return ofObjects(path, debezium, tidemark);
  if (Array.isArray(debezium) && Array.isArray(tidemark)) {
    return ofObjects(path, byIndex(debezium), byIndex(tidemark));
  }
  return JSON.stringify(debezium) === JSON.stringify(tidemark)
    ? []
    : [{ path, debezium, tidemark }];
}

type Fields = Readonly<Record<string, ExactValue>>;

function byIndex(list: readonly ExactValue[]): Fields {
  return Object.fromEntries(list.entries());
}

function isObject(value: ExactValue | undefined): value is Fields {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Digits)
  );
}

function ofObjects(path: readonly string[], debezium: Fields, tidemark: Fields): Difference[] {
  const names = new Set([...Object.keys(debezium), ...Object.keys(tidemark)]);
  const inside = [...names].flatMap(name =>
    differences([...path, name], own(debezium, name), own(tidemark, name)),
  );
  const common = Object.keys(debezium).filter(name => Object.hasOwn(tidemark, name));
  const order = Object.keys(tidemark).filter(name => Object.hasOwn(debezium, name));
  if (common.join() === order.join()) return inside;
  return [
    ...inside,
    { path: [...path, "(order)"], debezium: common.join(), tidemark: order.join() },
  ];
}

function own(fields: Fields, name: string): ExactValue | undefined {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}
