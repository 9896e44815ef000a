/** Values of a JSON text as they are written: parsing would lose digits, and the text of JSON columns. */

/** Members in their order, each value as its own text. `text` begins with a brace. */
export function membersOf(text: string): (readonly [name: string, value: string])[] {
  const members: (readonly [string, string])[] = [];
  for (let at = 1; text[at] !== "}";) {
    if (text[at] === ",") at += 1;
    const nameEnd = valueEnd(text, at);
    const end = valueEnd(text, nameEnd + 1);
    members.push([JSON.parse(text.slice(at, nameEnd)) as string, text.slice(nameEnd + 1, end)]);
    at = end;
  }
  return members;
}

/** Elements in their order. `text` begins with a bracket. */
export function elementsOf(text: string): string[] {
  const elements: string[] = [];
  for (let at = 1; text[at] !== "]";) {
    if (text[at] === ",") at += 1;
    const end = valueEnd(text, at);
    elements.push(text.slice(at, end));
    at = end;
  }
  return elements;
}

/** Where the value that begins at `start` ends. */
function valueEnd(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    switch (text[at]) {
      case '"':
        at = stringEnd(text, at);
        if (depth === 0) return at + 1;
        break;
      case "{":
      case "[":
        depth += 1;
        break;
      case "}":
      case "]":
        if (depth === 0) return at;
        depth -= 1;
        if (depth === 0) return at + 1;
        break;
      case ",":
        if (depth === 0) return at;
        break;
      default:
    }
  }
  return text.length;
}

/** Where the quote stands that closes the one at `start`. */
function stringEnd(text: string, start: number): number {
  let at = text.indexOf('"', start + 1);
  while (at >= 0) {
    let escapes = 0;
    while (text[at - 1 - escapes] === "\\") escapes += 1;
    if (escapes % 2 === 0) return at;
    at = text.indexOf('"', at + 1);
  }
  throw new Error("A line of JSON ends inside a string.");
}
