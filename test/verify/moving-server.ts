/**
 * Servers of which one is written to at a time, seen as a single one: what asks for its address finds the
 * one that has the part now.
 */
import type { Mysql } from "../../tools/services/services.ts";

export class MovingServer implements Mysql {
  now: Mysql;

  constructor(now: Mysql) {
    this.now = now;
  }

  get version(): Mysql["version"] {
    return this.now.version;
  }

  get host(): string {
    return this.now.host;
  }

  get port(): number {
    return this.now.port;
  }

  get user(): string {
    return this.now.user;
  }

  get password(): string {
    return this.now.password;
  }

  get url(): string {
    return this.now.url;
  }

  get pid(): number {
    return this.now.pid;
  }

  get dir(): string {
    return this.now.dir;
  }

  kill(signal: NodeJS.Signals): void {
    this.now.kill(signal);
  }

  start(): Promise<void> {
    return this.now.start();
  }

  stop(): Promise<void> {
    return this.now.stop();
  }
}
