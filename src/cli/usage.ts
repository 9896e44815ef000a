/** Commander's errors in our words. Its own repeat arguments, and an argument may hold a password. */
import type { CommanderError } from "commander";
import { TidemarkError } from "../core/errors.ts";

export function usageError(error: CommanderError): TidemarkError {
  return new TidemarkError("USAGE", `${sentence(error)} See tidemark --help.`);
}

function sentence({ code, message }: CommanderError): string {
  switch (code) {
    case "commander.unknownOption": {
      // Of `-psecret` and `--password=secret` only the option itself.
      const [, long, short] = /'(?:(--[a-z][a-z-]*)|(-[a-zA-Z]))/.exec(message) ?? [];
      return `There is no option ${long ?? short ?? "of this name"}${suggestion(message)}.`;
    }
    case "commander.unknownCommand":
      return message.includes("://")
        ? "A source and a target belong after a command: tidemark run SOURCE TARGET."
        : `There is no such command${suggestion(message)}.`;
    case "commander.optionMissingArgument": {
      const [, option = "The option"] = /'([^']*)'/.exec(message) ?? [];
      return `${option} is not followed by its value.`;
    }
    case "commander.excessArguments":
      return "There are too many arguments.";
    default:
      return "The command line cannot be understood.";
  }
}

/** Names of ours only. */
function suggestion(message: string): string {
  const [, names] = /\(Did you mean (?:one of )?([a-z, -]+)\?\)/.exec(message) ?? [];
  return names === undefined ? "" : ` (did you mean ${names}?)`;
}
