/**
 * Which of `source.hosts` is read: the first that can be reached and has what was delivered.
 *
 *   down     it cannot be reached
 *   behind   it lacks what was delivered, and replicates from somewhere: it may still get it
 *   wrong    anything else that keeps us from reading it: it lacks what was delivered and nothing will
 *            bring it, the binlog that we need is gone, the user is refused, …
 *
 * Where none is fit, what is down or behind is waited for by the caller, who asks again. A host that is
 * behind counts as wrong after `behindMs` in which it got nothing. What one has purged another may still have, so it is
 * lost only when every host has answered, or after `absentMs`. One that lacks transactions for good ends the pipeline:
 * at once where every host has answered, otherwise after `absentMs`, in which the one that has them may come back.
 */
import type { MysqlConnectionOptions } from "../binlog/connection.ts";
import { MysqlServer } from "../binlog/server.ts";
import type { HostConfig, SourceConfig } from "../config/config.ts";
import type { Clock } from "../core/clock.ts";
import { TidemarkError, toTidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";

export interface SourceHostsOptions {
  readonly source: SourceConfig;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly behindMs?: number;
  readonly absentMs?: number;
}

const BEHIND_MS = 300_000;
const ABSENT_MS = 60_000;

/** The connection options of the host that was chosen last: each new connection leads there. */
class ChosenHost implements MysqlConnectionOptions {
  readonly user: string;
  readonly password: string;
  readonly tls: MysqlConnectionOptions["tls"];
  host: string;
  port: number;

  constructor({ host, port, user, password, tls }: SourceConfig) {
    this.host = host;
    this.port = port;
    this.user = user;
    this.password = password;
    this.tls = tls;
  }
}

interface Candidate extends HostConfig {
  readonly name: string;
  readonly server: MysqlServer;
}

interface Failure {
  readonly name: string;
  readonly error: TidemarkError;
}

export class SourceHosts {
  readonly #options: SourceHostsOptions;
  readonly #candidates: readonly Candidate[];
  readonly #chosen: ChosenHost;
  /** Asks the host that was chosen last. */
  readonly server: MysqlServer;
  /** Since when the hosts fail in the way that they do now. */
  #waiting: { readonly what: string; readonly sinceMs: number } | undefined;

  constructor(options: SourceHostsOptions) {
    const { source } = options;
    this.#options = options;
    this.#chosen = new ChosenHost(source);
    this.server = new MysqlServer(this.#chosen);
    this.#candidates = source.hosts.map(address => ({
      ...address,
      name: hostName(address),
      server: new MysqlServer({ ...source, ...address }),
    }));
  }

  /** For connections to the host that was chosen last. */
  get connection(): MysqlConnectionOptions {
    return this.#chosen;
  }

  get areSeveral(): boolean {
    return this.#candidates.length > 1;
  }

  /** `host:port` of the host that was chosen last. */
  get name(): string {
    return hostName(this.#chosen);
  }

  /**
   * Chooses the first host with which `attempt` succeeds.
   *
   * @throws TidemarkError one that can be waited for as long as a host may come to be fit.
   */
  async choose<T>(attempt: (server: MysqlServer) => Promise<T>): Promise<T> {
    const failures: Failure[] = [];
    for (const candidate of this.#candidates) {
      try {
        const result = await attempt(candidate.server);
        this.#use(candidate, failures);
        return result;
      } catch (thrown) {
        const error = toTidemarkError(thrown);
        if (error.code === "BUG") throw error;
        failures.push({ name: candidate.name, error });
      }
    }
    throw this.#verdict(failures);
  }

  /** Chooses the first host that can be reached. */
  async reach(): Promise<void> {
    await this.choose(server => server.inspect());
  }

  /** The hosts that are not the chosen one. */
  get others(): readonly { readonly name: string; readonly server: MysqlServer }[] {
    return this.#candidates.filter(({ name }) => name !== this.name);
  }

  close(): void {
    this.server.close();
    for (const { server } of this.#candidates) server.close();
  }

  #use({ host, port, name }: Candidate, passedOver: readonly Failure[]): void {
    this.#waiting = undefined;
    if (name === this.name) return;
    const because = passedOver.map(({ name, error }) => `${name}: ${error.message}`).join(" ");
    const fields = { host: name, ...(because === "" ? {} : { because }) };
    this.#options.logger.info(fields, "reads from another host");
    this.#chosen.host = host;
    this.#chosen.port = port;
  }

  #verdict(failures: readonly Failure[]): TidemarkError {
    const { behindMs = BEHIND_MS, absentMs = ABSENT_MS } = this.#options;
    const behind = failures.find(({ error }) => error.code === "SOURCE_BEHIND");
    const wrong = failures.find(({ error }) => error.code === "POSITION_UNUSABLE");
    const isDown = failures.some(({ error }) => error.code === "SOURCE_UNAVAILABLE");
    if (behind !== undefined) {
      if (this.#forMs(behind) <= behindMs) return this.#told(failures, "SOURCE_BEHIND");
      const sentence = `It got nothing of them in ${behindMs / 1000} s.`;
      return this.#told([withSentence(behind, sentence)], "POSITION_UNUSABLE");
    }
    if (wrong !== undefined && (!isDown || this.#forMs(wrong) > absentMs)) {
      return this.#told([wrong], "POSITION_UNUSABLE");
    }
    const lost = failures.find(({ error }) => error.code === "POSITION_LOST");
    const isOver = lost !== undefined && wrong === undefined && this.#forMs(lost) > absentMs;
    if (isDown && !isOver) return this.#told(failures, "SOURCE_UNAVAILABLE");
    const [first] = failures;
    return this.#told(failures, (isOver ? lost : first)?.error.code ?? "BUG");
  }

  /** How long it has failed in just this way: a replica that catches up lacks less each time. */
  #forMs({ error }: Failure): number {
    const nowMs = this.#options.clock.nowMs();
    const { message } = error;
    if (this.#waiting?.what !== message) this.#waiting = { what: message, sinceMs: nowMs };
    return nowMs - this.#waiting.sinceMs;
  }

  #told(failures: readonly Failure[], code: TidemarkError["code"]): TidemarkError {
    const [first] = failures;
    const isOnly = this.#candidates.length === 1;
    if (isOnly && first?.error.code === code) return first.error;
    const texts = failures.map(({ name, error }) =>
      isOnly ? error.message : `${name}: ${error.message}`,
    );
    return new TidemarkError(code, texts.join(" "), { cause: first?.error });
  }
}

function withSentence({ name, error }: Failure, sentence: string): Failure {
  return { name, error: new TidemarkError(error.code, `${error.message} ${sentence}`) };
}

export function hostName({ host, port }: HostConfig): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
