/** Completion scripts for shells, made from the commands and options themselves. */
import type { Command } from "commander";
import { TidemarkError } from "../core/errors.ts";

interface Node {
  /** The commands that lead to it, such as `position set`; "" for the program. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly { readonly flag: string; readonly description: string }[];
}

const SHELLS = ["bash", "zsh", "fish"] as const;

/** @throws TidemarkError USAGE for another shell. */
export function completionScript(program: Command, shell: string): string {
  const nodes = nodesOf(program, []);
  switch (shell) {
    case "bash":
      return bash(nodes);
    case "zsh":
      return zsh(nodes);
    case "fish":
      return fish(nodes);
    default:
      throw new TidemarkError("USAGE", `The shell is one of ${SHELLS.join(", ")}.`);
  }
}

function nodesOf(command: Command, path: readonly string[]): readonly Node[] {
  const help = command.createHelp();
  const commands = help.visibleCommands(command);
  const node: Node = {
    path: path.join(" "),
    commands: commands.map(child => ({ name: child.name(), description: child.description() })),
    options: help
      .visibleOptions(command)
      .flatMap(({ long, description }) => (long == null ? [] : [{ flag: long, description }])),
  };
  const below = command.commands.flatMap(child => nodesOf(child, [...path, child.name()]));
  return [node, ...below];
}

function wordsOf({ commands, options }: Node): string {
  return [...commands.map(({ name }) => name), ...options.map(({ flag }) => flag)].join(" ");
}

/** The lines of a `case` that finds out which command the words so far lead to. */
function paths(nodes: readonly Node[]): string {
  return nodes
    .filter(({ path }) => path !== "")
    .map(({ path }) => `"${path}"`)
    .join("|");
}

function bash(nodes: readonly Node[]): string {
  const cases = nodes.map(node => `    "${node.path}") words="${wordsOf(node)}" ;;`);
  return `# Load it with: source <(tidemark completion bash)
_tidemark() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path="" words="" next i
  for ((i = 1; i < COMP_CWORD; i++)); do
    next="\${path:+$path }\${COMP_WORDS[i]}"
    case "$next" in
    ${paths(nodes)}) path="$next" ;;
    esac
  done
  case "$path" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _tidemark tidemark
`;
}

function zsh(nodes: readonly Node[]): string {
  const cases = nodes.map(node => `    "${node.path}") options=(${wordsOf(node)}) ;;`);
  return `#compdef tidemark
# Load it with: source <(tidemark completion zsh)
_tidemark() {
  local prefix="" next i
  local -a options
  for ((i = 2; i < CURRENT; i++)); do
    next="\${prefix:+$prefix }\${words[i]}"
    case "$next" in
    ${paths(nodes)}) prefix="$next" ;;
    esac
  done
  case "$prefix" in
${cases.join("\n")}
  esac
  compadd -- $options
  _files
}
compdef _tidemark tidemark
`;
}

function fish(nodes: readonly Node[]): string {
  const lines = nodes.flatMap(({ path, commands, options }) => {
    const names = path.split(" ").filter(name => name !== "");
    const seen = names.map(name => `__fish_seen_subcommand_from ${name}`);
    const below = commands.map(({ name }) => name).join(" ");
    const here = below === "" ? [] : [`not __fish_seen_subcommand_from ${below}`];
    const condition = quoted([...seen, ...here].join("; and "));
    return [
      ...commands.map(
        ({ name, description }) =>
          `complete -c tidemark -n ${condition} -a ${name} -d ${quoted(description)}`,
      ),
      ...options.map(
        ({ flag, description }) =>
          `complete -c tidemark -n ${condition} -l ${flag.slice(2)} -d ${quoted(description)}`,
      ),
    ];
  });
  return `# Load it with: tidemark completion fish | source\n${lines.join("\n")}\n`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
