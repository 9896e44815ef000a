/** Webhooks as a destination of a campaign: a receiver as a process of its own, and what it has written. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Webhook } from "standardwebhooks";
import type { Arrival, Destination } from "./destination.ts";
import { FileLines } from "./file-lines.ts";
import { tables } from "./tables.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const program = fileURLToPath(new URL("webhook-receiver.mjs", import.meta.url));

interface Line {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

type Image = Readonly<Record<string, unknown>>;

interface Envelope {
  readonly before: Image | null;
  readonly after: Image | null;
  readonly op: string;
  readonly source: {
    readonly table: string;
    readonly file: string;
    readonly pos: number;
    readonly gtid: string | null;
  };
}

export class WebhookDestination implements Destination {
  readonly ordered = true;
  readonly #folder = mkdtempSync(join(tmpdir(), "tidemark-verify-webhook-"));
  readonly #file = join(this.#folder, "received.jsonl");
  readonly #lines = new FileLines(this.#file);
  readonly #webhook = new Webhook(SECRET);
  #receiver: ChildProcess | undefined;
  #port = 0;

  sink(): Readonly<Record<string, unknown>> {
    return {
      type: "webhook",
      routes: [{ id: "all", url: this.url, secrets: [SECRET] }],
      allow_http: true,
      allow_private: true,
      timeout_ms: 5_000,
    };
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/all`;
  }

  async start(): Promise<this> {
    await this.up();
    return this;
  }

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  read(visit: (arrival: Arrival) => void): Promise<void> {
    this.#lines.readToEnd(text => visit(this.#arrival(JSON.parse(text) as Line)));
    return Promise.resolve();
  }

  /** @throws if the signature is not ours. */
  #arrival({ path, headers, body }: Line): Arrival {
    // The receiver wrote it down when it came; it is looked at later.
    const at = Number(headers["webhook-timestamp"]);
    const signed = this.#webhook.sign(headers["webhook-id"] ?? "", new Date(at * 1000), body);
    if (signed !== headers["webhook-signature"]) throw new Error("A signature is wrong.");
    const envelope = JSON.parse(body) as Envelope;
    const { table, file, pos, gtid } = envelope.source;
    const shape = tables.find(({ name }) => name === table);
    const image = (envelope.op === "d" ? envelope.before : envelope.after) ?? {};
    const key = shape?.keyed === true ? String(shape.slot(image)) : "";
    return {
      lane: `${path}/${table}/${key}`,
      id: headers["webhook-id"] ?? "",
      transaction: gtid ?? undefined,
      position: `${file}:${pos}`,
      value: Buffer.from(body),
    };
  }

  async down(): Promise<void> {
    const receiver = this.#receiver;
    if (receiver?.exitCode !== null || receiver.signalCode !== null) return;
    receiver.kill("SIGKILL");
    await once(receiver, "exit");
  }

  async up(): Promise<void> {
    const args = [program, String(this.#port), this.#file];
    const receiver = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.#receiver = receiver;
    const [port] = (await once(receiver.stdout, "data")) as [Buffer];
    this.#port = Number(String(port));
  }

  freeze(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#receiver?.kill(signal);
  }

  async close(): Promise<void> {
    this.freeze("SIGCONT");
    await this.down();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
