/** Passwords and certificates in files of their own. Faults name the field and never the path or contents. */
import { readFileSync, statSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { systemCode } from "../core/files.ts";
import type { TlsConfig, TlsMode } from "./config.ts";
import type { Faults, Path } from "./faults.ts";
import { printPath } from "./faults.ts";

/** Where faults and warnings are put while sections are looked at. */
export interface Collector {
  readonly faults: Faults;
  readonly warnings: string[];
}

const FILE_BYTES_MAX = 1024 ** 2;
const READABLE_BY_OTHERS = 0o044;

/** Such as ENOENT; the message of the error would hold the path. */
export function systemReason(thrown: unknown): string {
  return systemCode(thrown) ?? "unknown reason";
}

function readText(path: string, where: Path, { faults }: Collector): string | undefined {
  try {
    const status = statSync(path);
    // A device could go on for ever.
    if ((!status.isFile() && !status.isFIFO()) || status.size > FILE_BYTES_MAX) {
      faults.add(where, "expected a file of at most 1 MB");
      return undefined;
    }
    return readFileSync(path, "utf8");
  } catch (error) {
    faults.add(where, `the file cannot be read (${systemReason(error)})`);
    return undefined;
  }
}

/** The password of a section, from `password` or `password_file`; undefined if it has neither. */
export function readSecret(
  settings: { readonly password?: string | undefined; readonly password_file?: string | undefined },
  path: Path,
  collector: Collector,
): string | undefined {
  const { password, password_file: file } = settings;
  return readNamedSecret({ name: "password", value: password, file }, path, collector);
}

export interface NamedSecret {
  readonly name: string;
  readonly value: string | undefined;
  /** What `<name>_file` says. */
  readonly file: string | undefined;
}

/** From `<name>` or `<name>_file`; undefined if there is neither. */
export function readNamedSecret(
  { name, value, file }: NamedSecret,
  path: Path,
  collector: Collector,
): string | undefined {
  if (file === undefined) return value;
  const where = [...path, `${name}_file`];
  if (value !== undefined) {
    collector.faults.add(where, `cannot be there together with ${name}`);
    return undefined;
  }
  const text = readText(file, where, collector);
  if (text === undefined) return "";
  warnIfShared(file, where, collector);
  return text.replace(/\r?\n$/, "");
}

/** A secret a line; lines without anything are passed over. */
export function readSecretLines(
  file: string,
  where: Path,
  collector: Collector,
): readonly string[] | undefined {
  const text = readText(file, where, collector);
  if (text === undefined) return undefined;
  warnIfShared(file, where, collector);
  return text.split(/\r?\n/).filter(line => line !== "");
}

function warnIfShared(file: string, where: Path, { warnings }: Collector): void {
  if ((statSync(file).mode & READABLE_BY_OTHERS) === 0) return;
  warnings.push(
    `${printPath(where, undefined)}: other users of this machine can read the file (chmod 600).`,
  );
}

interface TlsSettings {
  readonly mode: TlsMode;
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export function readTls(settings: TlsSettings, path: Path, collector: Collector): TlsConfig {
  const read = (name: "ca" | "cert" | "key"): string | undefined => {
    const file = settings[name];
    return file === undefined ? undefined : readPem(file, [...path, name], collector);
  };
  const tls = { mode: settings.mode, ca: read("ca"), cert: read("cert"), key: read("key") };
  if (settings.cert !== undefined && settings.key === undefined) {
    collector.faults.add([...path, "key"], "is required where cert is");
  } else if (settings.cert === undefined && settings.key !== undefined) {
    collector.faults.add([...path, "cert"], "is required where key is");
  } else if (tls.cert !== undefined && tls.key !== undefined) {
    checkPair(tls.cert, tls.key, [...path, "key"], collector);
  }
  return tls;
}

function readPem(file: string, where: Path, collector: Collector): string | undefined {
  const text = readText(file, where, collector);
  if (text === undefined) return undefined;
  if (!text.includes("-----BEGIN ")) collector.faults.add(where, "expected a PEM file");
  return text;
}

function checkPair(cert: string, key: string, where: Path, { faults }: Collector): void {
  try {
    createSecureContext({ cert, key });
  } catch {
    faults.add(where, "is not the key of cert, or one of the two is damaged");
  }
}
