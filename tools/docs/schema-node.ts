/** The configuration's schema as JSON Schema, in the form that both generated pages are made from. */
import { z } from "zod";
import { configSchema } from "../../src/config/schema.ts";

export interface Node {
  type?: string;
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  pattern?: string;
  properties?: Record<string, Node>;
  required?: string[];
  items?: Node;
  anyOf?: Node[];
  oneOf?: Node[];
  additionalProperties?: boolean | Node;
  secret?: boolean;
}

/**
 * What comes out of the schema has every shape, and what goes in knows which keys can be left out; the
 * two are put together.
 */
export function schemaTree(): Node {
  const options = { unrepresentable: "any" } as const;
  const shape = z.toJSONSchema(configSchema, { ...options, io: "output" }) as Node;
  const input = z.toJSONSchema(configSchema, { ...options, io: "input" }) as Node;
  relax(shape, input);
  return shape;
}

function relax(shape: Node, input: Node | undefined): void {
  const properties = shape.properties ?? {};
  const needed = (input?.properties && input.required) ?? [];
  const isNeeded = (key: string): boolean =>
    input?.properties === undefined
      ? properties[key]?.default === undefined && (shape.required ?? []).includes(key)
      : needed.includes(key);
  const required = Object.keys(properties).filter(isNeeded);
  if (required.length > 0) shape.required = required;
  else delete shape.required;
  for (const [key, child] of Object.entries(properties)) relax(child, input?.properties?.[key]);
  if (shape.items !== undefined) relax(shape.items, input?.items);
  for (const kind of ["anyOf", "oneOf"] as const) {
    for (const [index, branch] of (shape[kind] ?? []).entries()) {
      relax(branch, input?.[kind]?.[index]);
    }
  }
}
