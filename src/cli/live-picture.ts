/** Lines on a terminal that are drawn over themselves. What else is written goes above them. */

const HIDE_CURSOR = "\u001B[?25l";
const SHOW_CURSOR = "\u001B[?25h";

export class LivePicture {
  readonly #write: (text: string) => void;
  #lines: readonly string[] = [];
  #isOpen = false;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  draw(lines: readonly string[]): void {
    const begin = this.#isOpen ? "" : HIDE_CURSOR;
    this.#isOpen = true;
    this.#write(`${begin}${this.#erasing()}${lines.map(line => `${line}\n`).join("")}`);
    this.#lines = lines;
  }

  /** Writes something else, such as a line of the log. */
  above(text: string): void {
    this.#write(`${this.#erasing()}${text}${this.#lines.map(line => `${line}\n`).join("")}`);
  }

  /** What was drawn last stays. */
  end(): void {
    if (this.#isOpen) this.#write(SHOW_CURSOR);
    this.#isOpen = false;
    this.#lines = [];
  }

  /** Up to the first line, and everything from there on. */
  #erasing(): string {
    return this.#lines.length === 0 ? "" : `\r\u001B[${this.#lines.length}A\u001B[J`;
  }
}
