/**
 * A JSON column of which an update holds only what changed: the differences, applied to what it was.
 *
 *   operation │ path, `$.a[3]` │ value in binary form, except where something is removed │ operation │ …
 *
 * Documents are text in canonical form here, so that every number stays as it is; only as much of their
 * structure is looked at as the paths need.
 */
import { ByteCursor } from "./byte-cursor.ts";
import { EventFault } from "./event-fault.ts";
import { JSON_DEPTH_MAX, jsonText } from "./json-text.ts";

const REPLACE = 0;
const INSERT = 1;
const REMOVE = 2;

type Node = string | Node[] | Map<string, Node>;
/** The name of a member, or the place in an array. */
type Leg = string | number;

/** @param document the text that `diffs` were made against. */
export function applyJsonDiffs(document: string, diffs: Buffer): string {
  let root = parse(document);
  const cursor = new ByteCursor(diffs);
  while (!cursor.atEnd) {
    const operation = cursor.uint(1);
    const path = parsePath(cursor.packedBytes().toString("utf8"));
    const value = operation === REMOVE ? "" : parse(jsonText(cursor.packedBytes()));
    root = applied(root, path, { operation, value });
  }
  return print(root);
}

interface Change {
  readonly operation: number;
  readonly value: Node;
}

function applied(root: Node, path: readonly Leg[], { operation, value }: Change): Node {
  const last = path.at(-1);
  if (last === undefined) {
    if (operation === REPLACE) return value;
    throw new EventFault("a difference of JSON documents removes or adds the whole document");
  }
  const parent = descend(root, path.slice(0, -1));
  if (parent instanceof Map && typeof last === "string") {
    changeMember(parent, last, { operation, value });
  } else if (Array.isArray(parent) && typeof last === "number") {
    changeElement(parent, last, { operation, value });
  } else throw notThere();
  return root;
}

function descend(root: Node, path: readonly Leg[]): Node {
  let node: Node | undefined = root;
  for (const leg of path) {
    if (node instanceof Map && typeof leg === "string") node = node.get(leg);
    else if (Array.isArray(node) && typeof leg === "number") node = node[leg];
    else node = undefined;
    if (node === undefined) throw notThere();
  }
  return node;
}

function changeMember(object: Map<string, Node>, name: string, { operation, value }: Change): void {
  if (operation === INSERT ? object.has(name) : !object.has(name)) throw notThere();
  if (operation === REMOVE) object.delete(name);
  else object.set(name, value);
}

function changeElement(array: Node[], place: number, { operation, value }: Change): void {
  if (operation === INSERT) {
    array.splice(place, 0, value); // Behind the end means at the end.
    return;
  }
  if (place >= array.length) throw notThere();
  if (operation === REMOVE) array.splice(place, 1);
  else if (operation === REPLACE) array[place] = value;
  else throw new EventFault(`a difference of JSON documents is of the unknown kind ${operation}`);
}

function notThere(): EventFault {
  return new EventFault("a difference of JSON documents does not fit the document before it");
}

/** `$`, then `.name`, `."quoted name"` or `[3]`, any number of them. */
function parsePath(path: string): Leg[] {
  const legs: Leg[] = [];
  const leg = /\.("(?:[^"\\]|\\.)*")|\.([^.["]+)|\[(\d+)\]/gy;
  leg.lastIndex = path.startsWith("$") ? 1 : 0;
  while (leg.lastIndex < path.length) {
    const found = leg.exec(path);
    if (!found) throw new EventFault("a difference of JSON documents has a path of unknown form");
    const [, quoted, name, place] = found;
    if (quoted !== undefined) legs.push(JSON.parse(quoted) as string);
    else legs.push(name ?? Number(place));
  }
  if (legs.length > JSON_DEPTH_MAX) {
    throw new EventFault("a difference of JSON documents lies deeper than any document does");
  }
  return legs;
}

/** MySQL's own order of members: shorter names first, then by their bytes. */
function compareNames([a]: readonly [string, Node], [b]: readonly [string, Node]): number {
  const one = Buffer.from(a);
  const other = Buffer.from(b);
  return one.length - other.length || one.compare(other);
}

function print(node: Node): string {
  if (typeof node === "string") return node;
  if (Array.isArray(node)) return `[${node.map(print).join(", ")}]`;
  const members = [...node].sort(compareNames);
  return `{${members.map(([name, value]) => `${JSON.stringify(name)}: ${print(value)}`).join(", ")}}`;
}

const TOKEN = /\s*(?:([[\]{},:])|("(?:[^"\\]|\\.)*")|([^\s[\]{},:"]+))/gy;

/** Takes apart text that `jsonText` made. */
function parse(text: string): Node {
  TOKEN.lastIndex = 0;
  const next = (): RegExpExecArray => {
    const token = TOKEN.exec(text);
    if (!token) throw new EventFault("a JSON document ends too early");
    return token;
  };
  const value = (token: RegExpExecArray): Node => {
    const [, mark, quoted, other] = token;
    if (mark === "[") return elements();
    if (mark === "{") return members();
    return quoted ?? other ?? "";
  };
  const elements = (): Node[] => {
    const found: Node[] = [];
    for (let token = next(); token[1] !== "]"; token = next()) {
      if (token[1] !== ",") found.push(value(token));
    }
    return found;
  };
  const members = (): Map<string, Node> => {
    const found = new Map<string, Node>();
    for (let token = next(); token[1] !== "}"; token = next()) {
      if (token[1] === ",") continue;
      next(); // The colon.
      found.set(JSON.parse(token[2] ?? '""') as string, value(next()));
    }
    return found;
  };
  return value(next());
}
