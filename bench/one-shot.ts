/** A program that reads the whole binlog and then ends by itself. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { Failure } from "../tools/demo/failure.ts";
import { keptEnvironment } from "../tools/services/keeper.ts";
import type { Contender } from "./round.ts";

export interface OneShotCall {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const COMPLAINT_CHARS = 1_000;

export class OneShot implements Contender {
  readonly #call: OneShotCall;
  #child: ChildProcess | undefined;
  #complaint = "";

  constructor(call: OneShotCall) {
    this.#call = call;
  }

  get pid(): number | undefined {
    return this.#isOver ? undefined : this.#child?.pid;
  }

  start(): Promise<void> {
    const { command, args, env } = this.#call;
    const child = spawn(command, args, {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...keptEnvironment(), ...env },
    });
    child.on("error", error => (this.#complaint += error.message));
    child.stderr.on("data", (chunk: Buffer) => (this.#complaint += chunk.toString()));
    this.#child = child;
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    if (this.#child === undefined || this.#isOver) return;
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
  }

  assertRuns(): void {
    if (this.#isOver && this.#child?.exitCode !== 0) {
      throw new Failure(`${this.#call.command} failed: ${this.logTail()}`);
    }
  }

  logTail(): string {
    return this.#complaint.slice(-COMPLAINT_CHARS);
  }

  get #isOver(): boolean {
    return this.#child !== undefined && (this.#child.exitCode ?? this.#child.signalCode) !== null;
  }
}
