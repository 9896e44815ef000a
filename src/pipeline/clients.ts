/** How servers are reached, from the configuration. */
import type { ConnectionOptions } from "node:tls";
import type { KafkaSinkConfig, TlsConfig } from "../config/config.ts";
import type { KafkaClientOptions } from "../kafka/client.ts";
import type { EndpointTls } from "../sinks/webhook-options.ts";

export function kafkaClient({ brokers, tls, sasl }: KafkaSinkConfig): KafkaClientOptions {
  return { brokers, clientId: "tidemark", ssl: tlsOptions(tls), sasl };
}

export function tlsOptions({ mode, ca, cert, key }: TlsConfig): ConnectionOptions | undefined {
  if (mode === "disabled") return undefined;
  return {
    rejectUnauthorized: mode === "verify_ca" || mode === "verify_identity",
    ...(mode === "verify_identity" ? {} : { checkServerIdentity: () => undefined }),
    ...certificates({ mode, ca, cert, key }),
  };
}

export function certificates({ ca, cert, key }: TlsConfig): EndpointTls {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}
