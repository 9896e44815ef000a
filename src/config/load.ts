/** From the command line and the file to a `Config`. */
import { readFileSync } from "node:fs";
import { TidemarkError } from "../core/errors.ts";
import type { Environment } from "./environment.ts";
import { Faults } from "./faults.ts";
import { systemReason } from "./files.ts";
import { normalise } from "./normalise.ts";
import type { LoadedConfig } from "./normalise.ts";
import { applyOverrides } from "./overrides.ts";
import { shortFormDocument } from "./short-form.ts";
import { substitute } from "./substitute.ts";
import { parseYaml } from "./yaml.ts";

export type { LoadedConfig } from "./normalise.ts";

export const DEFAULT_FILE = "tidemark.yaml";

/** What the command line says. */
export interface ConfigRequest {
  /** A file; without it and without `source`, ./tidemark.yaml. */
  readonly file?: string | undefined;
  /** The short form: URLs of the source and the target. */
  readonly source?: string | undefined;
  readonly target?: string | undefined;
  /** Name of the short form's pipeline. */
  readonly name?: string | undefined;
  /** `path=value`, applied in their order. */
  readonly overrides?: readonly string[];
}

/** @throws TidemarkError USAGE for the command line, CONFIG_INVALID for everything in the configuration. */
export function loadConfig(request: ConfigRequest, environment: Environment): LoadedConfig {
  return request.source === undefined
    ? loadFile(request, environment)
    : loadShortForm(request, request.source, environment);
}

/** A document in YAML, without a file. */
export function parseConfig(
  text: string,
  options: { name: string; environment: Environment; overrides?: readonly string[] },
): LoadedConfig {
  const { name, environment, overrides = [] } = options;
  const parsed = parseYaml(text, name);
  const unfilled = new Faults(parsed);
  const document = applyOverrides(substitute(parsed, environment, unfilled), overrides);
  const faults = new Faults(document);
  faults.merge(unfilled);
  return normalise(document, name, faults);
}

function loadFile(request: ConfigRequest, environment: Environment): LoadedConfig {
  if (request.name !== undefined) {
    throw new TidemarkError("USAGE", "--name belongs to the form with a source and a target.");
  }
  const name = request.file ?? DEFAULT_FILE;
  const overrides = request.overrides ?? [];
  return parseConfig(readFile(name, request.file), { name, environment, overrides });
}

function readFile(name: string, asked: string | undefined): string {
  try {
    return readFileSync(name, "utf8");
  } catch (error) {
    const reason = systemReason(error);
    if (asked === undefined && reason === "ENOENT") throw new TidemarkError("USAGE", NOTHING_NAMED);
    throw new TidemarkError(
      "CONFIG_INVALID",
      `The configuration file ${name} cannot be read (${reason}).`,
    );
  }
}

const NOTHING_NAMED =
  `There is no ${DEFAULT_FILE} here. Name another file with --config, or give a source and a target: ` +
  "tidemark run mysql://cdc@127.0.0.1/shop kafka://127.0.0.1:9092. More is in tidemark run --help.";

function loadShortForm(
  request: ConfigRequest,
  source: string,
  environment: Environment,
): LoadedConfig {
  const { target, name, overrides = [] } = request;
  if (request.file !== undefined) {
    throw new TidemarkError("USAGE", "Give either --config or a source and a target, not both.");
  }
  if (target === undefined) {
    throw new TidemarkError(
      "USAGE",
      "A target is missing, such as kafka://127.0.0.1:9092, file:./changes.jsonl or stdout:",
    );
  }
  const form = shortFormDocument({ source, target, name }, environment);
  const document = applyOverrides(form.document, overrides);
  const loaded = normalise(document, "The command line", new Faults(document));
  return form.hasPassword
    ? { ...loaded, warnings: [...loaded.warnings, PASSWORD_IN_ARGUMENTS] }
    : loaded;
}

export const PASSWORD_IN_ARGUMENTS =
  "The command line holds a password, which other users of this machine can see: " +
  "use TIDEMARK_MYSQL_PASSWORD instead.";
