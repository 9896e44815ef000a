/**
 * `npm run services -- <command>`: see `usage`. Answers go to stdout, progress to stderr.
 */
import { parseArgs } from "node:util";
import { down, hold, status, up, type Answer } from "./background.ts";
import { exitCodes, ServicesError } from "./failure.ts";
import { serviceNames, type ServiceName } from "./interfaces.ts";
import { progress } from "./progress.ts";
import { prepare } from "./services.ts";

const usage = `usage: npm run services -- <command> [--json] [service…]

  up <service…>       start servers in the background and print their addresses
  down [service…]     end them (all, if none is named)
  status              print the addresses of those that are up
  prepare <service…>  only download and install what they need

services: ${serviceNames.join(", ")}
`;

type Answers = [ServiceName, Answer][];

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { json: { type: "boolean", default: false }, help: { type: "boolean", short: "h" } },
    allowPositionals: true,
  });
  const [command, ...rest] = positionals;
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const names = rest.map(serviceName);
  switch (command) {
    case "up":
      print(await upAll(required(names)), values.json);
      return;
    case "down":
      print(await downAll(names.length > 0 ? names : serviceNames), values.json, "ended ");
      return;
    case "status":
      print(statusOfAll(names.length > 0 ? names : serviceNames), values.json);
      return;
    case "prepare":
      await prepare(required(names));
      return;
    case "hold": // Not for people: see background.ts.
      for (const name of required(names)) await hold(name);
      // A start that was cut short must not go on; the keeper cleans up after it.
      return process.exit();
    default:
      throw new ServicesError(usage, exitCodes.usage);
  }
}

async function upAll(names: readonly ServiceName[]): Promise<Answers> {
  await prepare(names); // Here and not in the background: it may take minutes, and says so.
  return Promise.all(
    names.map(async (name): Promise<[ServiceName, Answer]> => {
      const { answer, started } = await up(name);
      progress(started ? `${name} is up (pid ${answer.pid})` : `${name} already runs`);
      return [name, answer];
    }),
  );
}

async function downAll(names: readonly ServiceName[]): Promise<Answers> {
  const ended = await Promise.all(names.map(async name => [name, await down(name)] as const));
  return ended.flatMap(([name, answer]): Answers => (answer ? [[name, answer]] : []));
}

function statusOfAll(names: readonly ServiceName[]): Answers {
  return names.flatMap((name): Answers => {
    const answer = status(name);
    return answer ? [[name, answer]] : [];
  });
}

function print(answers: Answers, json: boolean, prefix = ""): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(Object.fromEntries(answers))}\n`);
    return;
  }
  if (answers.length === 0) process.stdout.write("nothing is running\n");
  for (const [name, answer] of answers) {
    const address = "url" in answer ? answer.url : answer.brokers.join(",");
    process.stdout.write(`${prefix}${name}  ${address}  (pid ${answer.pid}, ${answer.dir})\n`);
  }
}

function serviceName(text: string): ServiceName {
  const name = serviceNames.find(candidate => candidate === text);
  if (name) return name;
  const message = `There is no service "${text}". There are: ${serviceNames.join(", ")}.`;
  throw new ServicesError(message, exitCodes.usage);
}

function required(names: readonly ServiceName[]): ServiceName[] {
  if (names.length === 0) throw new ServicesError(usage, exitCodes.usage);
  return [...new Set(names)];
}

try {
  await main();
} catch (error) {
  const known = error instanceof ServicesError;
  const text = known ? error.message : error instanceof Error ? (error.stack ?? error.message) : "";
  process.stderr.write(`${text.trimEnd()}\n`);
  process.exitCode = known ? error.exitCode : exitCodes.software;
}
