/**
 * Carries the AWS client's requests, over connections that are kept. A request is done within
 * `timeoutMs`, whatever the other side does: the client's own handler waits for ever for an answer that
 * trickles, and takes twice as much of the processor.
 */
import type { Agent, Dispatcher } from "undici";
import type { Clock } from "../core/clock.ts";

/** As the AWS client makes it. */
interface Request {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number | undefined;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | string[] | null>>;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string | Uint8Array;
}

interface Response {
  readonly statusCode: number;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
}

export interface SqsHttpOptions {
  readonly connections: number;
  readonly connectTimeoutMs: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

const ANSWER_BYTES_MAX = 1024 * 1024;
const GONE_IDLE_MS = 10_000;

export class SqsHttp {
  readonly #options: SqsHttpOptions;
  readonly #agent: Agent;

  private constructor(options: SqsHttpOptions, agent: Agent) {
    this.#options = options;
    this.#agent = agent;
  }

  static async load(options: SqsHttpOptions): Promise<SqsHttp> {
    const { Agent } = await import("undici");
    const { connections, connectTimeoutMs, timeoutMs } = options;
    const agent = new Agent({
      ...{ connections, pipelining: 1, connect: { timeout: connectTimeoutMs } },
      // Ours comes first; these only keep the agent's own, longer ones away.
      ...{ headersTimeout: 2 * timeoutMs, bodyTimeout: 2 * timeoutMs },
      keepAliveTimeout: GONE_IDLE_MS,
    });
    return new SqsHttp(options, agent);
  }

  handle(
    request: Request,
    { abortSignal }: { readonly abortSignal?: unknown } = {},
  ): Promise<{ response: Response }> {
    const { clock, timeoutMs } = this.#options;
    const { protocol, hostname, port, headers, body = null } = request;
    const origin = `${protocol}//${hostname}${port === undefined ? "" : `:${port}`}`;
    const signal = abortSignal instanceof AbortSignal ? abortSignal : undefined;
    const method = request.method as Dispatcher.HttpMethod;
    return new Promise((resolve, reject) => {
      const answer = new Answer(response => resolve({ response }), reject);
      const cancel = clock.after(timeoutMs, () => {
        answer.giveUp("TimeoutError", `no whole answer within ${timeoutMs / 1000} s`);
      });
      const stop = (): void => answer.giveUp("AbortError", "it was stopped");
      signal?.addEventListener("abort", stop, { once: true });
      answer.onEnd = () => {
        cancel();
        signal?.removeEventListener("abort", stop);
      };
      if (signal?.aborted === true) stop();
      this.#agent.dispatch({ origin, path: pathOf(request), method, headers, body }, answer);
    });
  }

  /** Ends what is under way with an error. */
  destroy(): void {
    void this.#agent.destroy();
  }

  updateHttpClientConfig(): void {
    // Nothing of it is the client's to set.
  }

  httpHandlerConfigs(): object {
    return {};
  }
}

/** Follows one request to its end, which comes once. */
class Answer implements Dispatcher.DispatchHandlers {
  onEnd: () => void = () => undefined;
  readonly #resolve: (response: Response) => void;
  readonly #reject: (error: Error) => void;
  #abort: (() => void) | undefined;
  #isOver = false;
  #status = 0;
  #headers: Record<string, string> = {};
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(resolve: (response: Response) => void, reject: (error: Error) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  onConnect(abort: () => void): void {
    this.#abort = abort;
    // It was given up while it waited for a connection: it must not be sent any more.
    if (this.#isOver) abort();
  }

  onHeaders(status: number, headers: Buffer[]): boolean {
    this.#status = status;
    for (let i = 0; i + 1 < headers.length; i += 2) {
      const name = String(headers[i]).toLowerCase();
      this.#headers[name] = String(headers[i + 1]);
    }
    return true;
  }

  onData(chunk: Buffer): boolean {
    this.#bytes += chunk.length;
    if (this.#bytes > ANSWER_BYTES_MAX) this.giveUp("TimeoutError", "its answer does not end");
    else this.#chunks.push(chunk);
    return true;
  }

  onComplete(): void {
    if (!this.#end()) return;
    const body = Buffer.concat(this.#chunks);
    this.#resolve({ statusCode: this.#status, headers: this.#headers, body });
  }

  onError(error: Error): void {
    if (this.#end()) this.#reject(error);
  }

  giveUp(name: string, message: string): void {
    if (this.#end()) this.#reject(Object.assign(new Error(message), { name }));
    this.#abort?.();
  }

  #end(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.onEnd();
    return true;
  }
}

function pathOf({ path, query = {} }: Request): string {
  const pairs = Object.entries(query).flatMap(([name, values]) =>
    [values].flat().map(value => `${encodeURIComponent(name)}=${encodeURIComponent(value ?? "")}`),
  );
  return pairs.length === 0 ? path : `${path}?${pairs.join("&")}`;
}
