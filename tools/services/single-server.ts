/** What every server does alike that is one process. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ServerProcess } from "./server-process.ts";

export abstract class SingleServer {
  readonly dir: string;
  readonly #process: ServerProcess;

  constructor(dir: string, process: ServerProcess) {
    this.dir = dir;
    this.#process = process;
  }

  get pid(): number {
    return this.#process.pid;
  }

  get isRunning(): boolean {
    return this.#process.isRunning;
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  startOnce(): Promise<void> {
    return this.#process.startOnce(() => this.answers());
  }

  start(): Promise<void> {
    return this.#process.start(() => this.answers());
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }

  discard(): Promise<void> {
    return this.#process.discard();
  }

  /** Whether it is ready, and the server that we started. */
  protected abstract answers(): Promise<boolean>;
}

/** A server without a port, which says in its log that it is ready. */
export class LoggingServer extends SingleServer {
  readonly #ready: string;

  constructor(dir: string, process: ServerProcess, ready: string) {
    super(dir, process);
    this.#ready = ready;
  }

  protected answers(): Promise<boolean> {
    return Promise.resolve(readFileSync(join(this.dir, "log"), "utf8").includes(this.#ready));
  }
}

/** Starts a server on ports just picked; one that could not start leaves nothing behind. */
export async function started<T extends SingleServer>(server: T): Promise<T> {
  try {
    await server.startOnce();
    return server;
  } catch (error) {
    await server.discard();
    throw error;
  }
}
