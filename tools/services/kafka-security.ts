/** A second listener for Kafka's clients, with TLS and a login by each mechanism that Tidemark knows. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { KafkaSecurity } from "./interfaces.ts";

const LISTENER = "SECURE";
const SCRAM = ["SCRAM-SHA-256", "SCRAM-SHA-512"] as const;

/** The certificate is for this name. */
const host = "localhost";

export function secureAddress(port: number): string {
  return `${host}:${port}`;
}

/** Adds the listener to a node's properties. */
export function withSecurity(
  properties: Readonly<Record<string, string>>,
  { dir, port, security }: { dir: string; port: number; security: KafkaSecurity },
): Record<string, string> {
  const keystore = join(dir, "keystore.pem");
  writeFileSync(keystore, `${security.key}${security.cert}`, { mode: 0o600 });
  const listener = `listener.name.${LISTENER.toLowerCase()}`;
  const added = (name: string, more: string): string => `${properties[name] ?? ""},${more}`;
  const module = "org.apache.kafka.common.security";
  const login = `username="${security.user}" password="${security.password}"`;
  const users = `user_${security.user}="${security.password}"`;
  return {
    ...properties,
    listeners: added("listeners", `${LISTENER}://127.0.0.1:${port}`),
    "advertised.listeners": added("advertised.listeners", `${LISTENER}://${secureAddress(port)}`),
    "listener.security.protocol.map": added(
      "listener.security.protocol.map",
      `${LISTENER}:SASL_SSL`,
    ),
    [`${listener}.ssl.keystore.type`]: "PEM",
    [`${listener}.ssl.keystore.location`]: keystore,
    [`${listener}.sasl.enabled.mechanisms`]: ["PLAIN", ...SCRAM].join(","),
    [`${listener}.plain.sasl.jaas.config`]: `${module}.plain.PlainLoginModule required ${login} ${users};`,
    ...Object.fromEntries(
      SCRAM.map(mechanism => [
        `${listener}.${mechanism.toLowerCase()}.sasl.jaas.config`,
        `${module}.scram.ScramLoginModule required ${login};`,
      ]),
    ),
  };
}

/** For the tool that formats a data folder: makes the user for each mechanism that keeps it there. */
export function formatArgs({ user, password }: KafkaSecurity): string[] {
  return SCRAM.flatMap(mechanism => [
    "--add-scram",
    `${mechanism}=[name=${user},password=${password}]`,
  ]);
}
