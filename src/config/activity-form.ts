/** `tidemark activity --host … --queue-url …`: options instead of a file, made into the document it would hold. */
import type { Environment } from "./environment.ts";
import { Faults } from "./faults.ts";
import { PASSWORD_IN_ARGUMENTS } from "./load.ts";
import { normalise, type LoadedConfig } from "./normalise.ts";
import { applyOverrides } from "./overrides.ts";

/** As they were typed; what is wrong with them is told by the path in the document. */
export interface ActivityForm {
  readonly host: string;
  readonly port: string;
  readonly user: string;
  readonly password?: string | undefined;
  readonly passwordFile?: string | undefined;
  readonly serverId?: string | undefined;
  readonly gtidSet?: string | undefined;
  /** Undefined: nothing is sent. */
  readonly queueUrl?: string | undefined;
  readonly workers: string;
  readonly queueSize: string;
  readonly interval: string;
  readonly tables: readonly string[];
  readonly name: string;
  readonly stateDir: string;
  readonly verbose: boolean;
  /** `path=value`, applied in their order. */
  readonly overrides: readonly string[];
}

/** @throws TidemarkError CONFIG_INVALID */
export function loadActivity(form: ActivityForm, environment: Environment): LoadedConfig {
  const document = applyOverrides(documentOf(form, environment), form.overrides);
  const loaded = normalise(document, "The command line", new Faults(document));
  return form.password === undefined
    ? loaded
    : { ...loaded, warnings: [...loaded.warnings, PASSWORD_IN_ARGUMENTS] };
}

function documentOf(form: ActivityForm, environment: Environment): object {
  const { host, port, user, serverId, gtidSet, queueUrl, stateDir, name, tables } = form;
  const sink =
    queueUrl === undefined
      ? { type: "stdout" }
      : { type: "sqs", queue: queueUrl, in_flight: form.workers };
  return {
    source: {
      ...{ host, port, user },
      ...passwordOf(form, environment),
      ...(serverId === undefined ? {} : { server_id: serverId }),
      ...(gtidSet === undefined ? {} : { start: { gtid_set: gtidSet } }),
    },
    queue: { max_entries: form.queueSize },
    pipelines: [
      {
        ...{ name, tables, sink },
        format: { type: "activity", interval_s: form.interval },
        commit_log: { type: "file", dir: stateDir },
      },
    ],
    log: { level: form.verbose ? "debug" : "info" },
  };
}

function passwordOf({ password, passwordFile }: ActivityForm, environment: Environment): object {
  if (passwordFile !== undefined) {
    return { password_file: passwordFile, ...(password === undefined ? {} : { password }) };
  }
  return { password: password ?? environment["TIDEMARK_MYSQL_PASSWORD"] ?? "" };
}
