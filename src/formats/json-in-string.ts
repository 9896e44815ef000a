/** The text of a JSON document inside a JSON string, written piece by piece. */
import type { JsonTextTarget } from "../core/rows.ts";
import type { JsonWriter } from "./json-writer.ts";

export class JsonInString implements JsonTextTarget {
  readonly #json: JsonWriter;

  constructor(json: JsonWriter) {
    this.#json = json;
  }

  plain(text: string): void {
    this.#json.ascii(text);
  }

  integer(value: number): void {
    this.#json.integer(value);
  }

  string(bytes: Buffer, start: number, end: number): void {
    if (this.#json.innerString(bytes, start, end)) return;
    this.#json.content(JSON.stringify(bytes.toString("utf8", start, end)));
  }

  any(text: string): void {
    this.#json.content(text);
  }

  utf8(bytes: Buffer, start: number, end: number): void {
    this.#json.bytes(bytes, start, end);
  }
}
