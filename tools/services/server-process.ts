/**
 * One server process that can be started, signalled, stopped and started again.
 *
 *   idle ──launch──▶ running ──exit──▶ idle          `ending` is set once a fatal signal was sent
 *
 * It is in a session of its own, so that Ctrl-C at a terminal ends us first and an orderly stop of
 * the program under test still finds its servers. The keeper ends it when we are gone.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, statSync } from "node:fs";
import { keptEnvironment } from "./keeper.ts";
import { poll } from "./wait.ts";

export interface ServerSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly folder: string;
  readonly logFile: string;
}

/** The port was taken between our look and the server's bind. */
export class PortTakenError extends Error {
  override readonly name = "PortTakenError";
}

const readyTimeoutMs = 180_000;
const stopTimeoutMs = 90_000;
const portRetryMs = 30_000;
const logTailChars = 2_000;
const portTaken = /Address already in use|Do you already have another mysqld/;
const harmless: readonly NodeJS.Signals[] = ["SIGSTOP", "SIGCONT", "SIGHUP", "SIGUSR1", "SIGUSR2"];

const all = new Set<ServerProcess>();

/** At once and without ceremony: for servers whose data is thrown away next. */
export async function killAllServers(): Promise<void> {
  await Promise.all([...all].map(server => server.discard()));
}

export class ServerProcess {
  readonly #spec: ServerSpec;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #running = false;
  #ending = false;
  #logStart = 0;

  constructor(spec: ServerSpec) {
    this.#spec = spec;
    all.add(this);
  }

  /** Of the running process, or of the last one. */
  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error(`${this.#spec.name} was never started`);
    return pid;
  }

  get isRunning(): boolean {
    return this.#running;
  }

  /** Sends the signal to the server and only to it. Nothing happens when it has ended already. */
  kill(signal: NodeJS.Signals): void {
    if (!this.#running) return;
    if (!harmless.includes(signal)) this.#ending = true;
    this.#child?.kill(signal);
  }

  /** Resolves when `isReady` says so. A server that already runs is only asked. */
  async start(isReady: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + portRetryMs;
    for (;;) {
      if (this.#ending) await this.#whenExited();
      if (!this.#running) this.#launch();
      try {
        await this.#whenReady(isReady);
        return;
      } catch (error) {
        if (!(error instanceof PortTakenError) || performance.now() > deadline) throw error;
      }
    }
  }

  /** First start on ports just picked: does not insist on them. */
  async startOnce(isReady: () => Promise<boolean>): Promise<void> {
    this.#launch();
    await this.#whenReady(isReady);
  }

  async stop(): Promise<void> {
    if (!this.#running) return;
    this.kill("SIGTERM");
    this.kill("SIGCONT"); // A process that is held by SIGSTOP would not see the other signal.
    const stopped = poll(() => (this.#running ? undefined : true), stopTimeoutMs);
    if (await stopped) return;
    this.kill("SIGKILL");
    await this.#whenExited();
    throw new Error(`${this.#spec.name} did not stop in ${stopTimeoutMs} ms and was killed`);
  }

  async discard(): Promise<void> {
    all.delete(this);
    this.kill("SIGKILL");
    await this.#whenExited();
  }

  #launch(): void {
    const { command, args, folder, logFile } = this.#spec;
    this.#logStart = existsSync(logFile) ? statSync(logFile).size : 0;
    const log = openSync(logFile, "a");
    const child = spawn(command, args, {
      cwd: folder,
      env: keptEnvironment(),
      stdio: ["ignore", log, log],
      detached: true,
    });
    closeSync(log);
    this.#child = child;
    this.#running = true;
    this.#ending = false;
    this.#exited = new Promise(resolve => {
      const ended = (): void => {
        this.#running = false;
        this.#ending = false;
        resolve();
      };
      child.once("exit", ended);
      child.once("error", ended);
    });
    child.unref(); // A test that forgets to stop its servers must still be able to end.
  }

  async #whenExited(): Promise<void> {
    this.#child?.ref();
    await this.#exited;
  }

  async #whenReady(isReady: () => Promise<boolean>): Promise<void> {
    const ask = async (): Promise<boolean | undefined> => {
      if (!this.#running) return false;
      return (await isReady().catch(() => false)) ? true : undefined;
    };
    const answer = await poll(ask, readyTimeoutMs);
    if (answer) return;
    const { name, logFile } = this.#spec;
    const log = readFileSync(logFile).subarray(this.#logStart).toString();
    const telling = log.split("\n").filter(line => !line.includes(" [Note] "));
    const tail = telling.join("\n").trim().slice(-logTailChars);
    if (answer === undefined) {
      this.kill("SIGKILL");
      throw new Error(`${name} is not ready after ${readyTimeoutMs} ms. Its log ends:\n${tail}`);
    }
    if (portTaken.test(log)) throw new PortTakenError(`${name}: its port is taken`);
    throw new Error(`${name} ended while starting. Its log ends:\n${tail}`);
  }
}

/** Runs `attempt` again, with fresh ports, as long as somebody else was quicker to bind one. */
export async function withFreshPorts<T>(attempt: () => Promise<T>): Promise<T> {
  const triesMax = 5;
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof PortTakenError) || tries === triesMax) throw error;
    }
  }
}
