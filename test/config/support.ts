import { TidemarkError } from "../../src/core/errors.ts";
import { parseConfig, type LoadedConfig } from "../../src/config/load.ts";
import type { Environment } from "../../src/config/environment.ts";

export function parse(
  text: string,
  options: { environment?: Environment; overrides?: readonly string[] } = {},
): LoadedConfig {
  return parseConfig(text, { name: "test.yaml", environment: {}, ...options });
}

/** The lines that list the faults. */
export function faultsOf(action: () => unknown): string[] {
  const error = errorOf(action);
  return error.message
    .split("\n")
    .slice(1)
    .map(line => line.trim());
}

export function errorOf(action: () => unknown): TidemarkError {
  try {
    action();
  } catch (error) {
    if (error instanceof TidemarkError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

export const MINIMAL = `
source:
  host: db.internal
  user: cdc
  password: pw
pipelines:
  - name: shop
    tables: ["shop.*"]
    sink:
      type: kafka
      brokers: [kafka]
`;
