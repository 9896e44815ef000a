/** Kafka's own programs: its client, the console consumer, and what looks into log segments. */
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compileJava } from "../../../tools/services/java-compiler.ts";
import { kafkaProgram } from "../../../tools/services/kafka-program.ts";

const source = fileURLToPath(new URL("JavaClient.java", import.meta.url));
const jvm = ["-Xmx512m", "-Xshare:auto", "-XX:TieredStopAtLevel=1"];
const CONSUMER_TIMEOUT_MS = 60_000;

export interface Dump {
  /** Lines that say that a batch is sound. */
  readonly valid: number;
  /** Everything else than batches and records. */
  readonly complaints: readonly string[];
}

export class JavaTools {
  readonly dir: string;
  readonly #classPath: string;

  private constructor(dir: string, classPath: string) {
    this.dir = dir;
    this.#classPath = classPath;
  }

  static async make(): Promise<JavaTools> {
    const dir = mkdtempSync(join(tmpdir(), "tidemark-verify-java-"));
    const libs = await kafkaProgram();
    await compileJava({ source, folder: dir, classPath: libs });
    return new JavaTools(dir, `${dir}:${libs}`);
  }

  dispose(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }

  async produce(brokers: readonly string[], cases: string): Promise<void> {
    await this.#run(["JavaClient", "produce", brokers.join(","), cases]);
  }

  /** The records of each batch as they were before they were compressed. */
  async unpack(batches: readonly Buffer[]): Promise<Buffer[]> {
    const packed = join(this.dir, "packed");
    const plain = join(this.dir, "plain");
    writeFileSync(packed, Buffer.concat(batches));
    await this.#run(["JavaClient", "unpack", packed, plain]);
    const bytes = readFileSync(plain);
    const records: Buffer[] = [];
    for (let at = 0; at < bytes.length;) {
      const end = at + 4 + bytes.readInt32BE(at);
      records.push(bytes.subarray(at + 4, end));
      at = end;
    }
    return records;
  }

  /** What the console consumer prints of partition 0, from its beginning on. */
  async consume(brokers: readonly string[], topic: string, messages: number): Promise<Buffer> {
    const shown = ["timestamp", "offset", "headers", "key"];
    const { stdout, stderr } = await this.#run([
      "org.apache.kafka.tools.consumer.ConsoleConsumer",
      ...["--bootstrap-server", brokers.join(","), "--topic", topic, "--partition", "0"],
      ...["--offset", "earliest", "--max-messages", String(messages)],
      ...["--timeout-ms", String(CONSUMER_TIMEOUT_MS)],
      ...shown.flatMap(what => ["--property", `print.${what}=true`]),
    ]);
    const processed = `Processed a total of ${messages} messages`;
    if (!`${stdout.toString("latin1")}${stderr}`.includes(processed)) {
      throw new Error(`The console consumer did not read ${messages} of ${topic}: ${stderr}`);
    }
    return stdout;
  }

  async dump(segment: string): Promise<Dump> {
    const { stdout, stderr } = await this.#run([
      ...["kafka.tools.DumpLogSegments", "--deep-iteration", "--files", segment],
    ]);
    const lines = `${stdout.toString("latin1")}${stderr}`.split("\n");
    const isBatch = (line: string): boolean => line.startsWith("baseOffset: ");
    const isSound = (line: string): boolean => / isvalid: true\b/.test(line);
    const isExpected = (line: string): boolean =>
      /^(\| offset: |Dumping |Log starting offset: |$)/.test(line);
    return {
      valid: lines.filter(line => isBatch(line) && isSound(line)).length,
      complaints: lines.filter(line => !(isBatch(line) && isSound(line)) && !isExpected(line)),
    };
  }

  async #run(args: readonly string[]): Promise<{ stdout: Buffer; stderr: string }> {
    const paths = [join(this.dir, "stdout"), join(this.dir, "stderr")] as const;
    const [out, err] = [openSync(paths[0], "w"), openSync(paths[1], "w")];
    const child = spawn("java", [...jvm, "-cp", this.#classPath, ...args], {
      stdio: ["ignore", out, err],
    });
    closeSync(out);
    closeSync(err);
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", resolve);
    });
    const stderr = readFileSync(paths[1], "utf8");
    if (code !== 0)
      throw new Error(`java ${args.slice(0, 3).join(" ")} ended with ${code}: ${stderr}`);
    return { stdout: readFileSync(paths[0]), stderr };
  }
}
