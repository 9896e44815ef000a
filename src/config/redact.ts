/**
 * Settings that can be printed: values of fields that the schema marks as secret become asterisks,
 * whatever they are called and whatever they hold; of a URL marked so, the origin is left.
 */
import { stringify } from "yaml";
import { z } from "zod";
import { isRecord } from "./faults.ts";
import { configSchema } from "./schema.ts";
import type { Settings } from "./schema.ts";

export const REDACTED = "********";

interface Node {
  readonly secret?: boolean | "url" | "url path";
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
  readonly oneOf?: readonly Node[];
}

/** The settings in YAML, in the order of the schema, without secrets. */
export function printSettings(settings: Settings): string {
  return stringify(redact(settings), { lineWidth: 0 });
}

export function redact(settings: Settings): unknown {
  return hide(
    settings,
    z.toJSONSchema(configSchema, { io: "output", unrepresentable: "any" }) as Node,
  );
}

/** A value is hidden if any of the shapes that it could have says so. */
function hide(value: unknown, schema: Node): unknown {
  const shapes = shapesOf(schema);
  if (shapes.some(shape => shape.secret === true)) return value === undefined ? value : REDACTED;
  if (typeof value === "string" && shapes.some(shape => shape.secret === "url")) {
    return withoutPassword(value);
  }
  if (shapes.some(shape => shape.secret === "url path")) return originOf(value);
  if (Array.isArray(value)) {
    const items = shapes.find(shape => shape.items !== undefined)?.items;
    return items === undefined ? value : value.map(item => hide(item, items));
  }
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      const fields = shapes
        .map(shape => shape.properties?.[key])
        .filter(field => field !== undefined);
      return [key, fields.length === 0 ? item : hide(item, { anyOf: fields })];
    }),
  );
}

function withoutPassword(url: string): string {
  if (!URL.canParse(url)) return REDACTED;
  const parsed = new URL(url);
  if (parsed.password !== "") parsed.password = REDACTED;
  return parsed.href;
}

/** Path and query hold a token as often as not, so only the origin is shown. */
function originOf(value: unknown): unknown {
  if (typeof value !== "string" || !URL.canParse(value)) return REDACTED;
  return `${new URL(value).origin}/${REDACTED}`;
}

/** The schema and the alternatives that it names, to any depth. */
function shapesOf(schema: Node): readonly Node[] {
  const alternatives = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  return [schema, ...alternatives.flatMap(shapesOf)];
}
