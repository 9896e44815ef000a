/** JSON columns: Debezium's text and Tidemark's have to hold the same document. */
import { Digits, type ExactValue } from "../types/exact-json.ts";

export function isSameDocument(debezium: ExactValue, tidemark: ExactValue): boolean {
  if (debezium instanceof Digits && tidemark instanceof Digits) {
    return isSameNumber(debezium.text, tidemark.text);
  }
  if (typeof debezium === "string" && typeof tidemark === "string") {
    return debezium === tidemark || isOpaque(tidemark);
  }
  if (!isContainer(debezium) || !isContainer(tidemark)) return debezium === tidemark;
  const names = Object.keys(tidemark);
  return (
    Array.isArray(debezium) === Array.isArray(tidemark) &&
    Object.keys(debezium).join() === names.join() &&
    names.every(name => isSameDocument(field(debezium, name), field(tidemark, name)))
  );
}

type Container = Readonly<Record<string, ExactValue>> | readonly ExactValue[];

function isContainer(value: ExactValue): value is Container {
  return typeof value === "object" && value !== null && !(value instanceof Digits);
}

function field(container: Container, name: string): ExactValue {
  return (container as Readonly<Record<string, ExactValue>>)[name] ?? null;
}

function isSameNumber(debezium: string, tidemark: string): boolean {
  // Whole numbers of 64 bits are beyond a double.
  const areWhole = [debezium, tidemark].every(text => /^-?\d{1,20}$/.test(text));
  return areWhole ? debezium === tidemark : Number(debezium) === Number(tidemark);
}

/** Values that JSON itself does not have, as SELECT shows them; Debezium has another form, or a wrong one. */
function isOpaque(text: string): boolean {
  return /^(-?\d+:\d\d:\d\d\.\d{6}|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}|base64:type\d+:.*)$/s.test(
    text,
  );
}
