/**
 * Whether the endpoints of webhooks can be connected to: the address resolves and is allowed, and the
 * certificate is trusted. Nothing is sent. A run does not look: an endpoint holds up only itself.
 */
import type { WebhookRouteConfig, WebhookSinkConfig } from "../config/config.ts";
import { fault, good, warning, type Finding } from "../core/finding.ts";
import { AddressRefused, makeConnector } from "../sinks/webhook-connector.ts";
import { reasonOf } from "../sinks/webhook-endpoint.ts";

const CHECK = "webhook.endpoint";
/** What the operator has to mend, and waiting cannot. */
const SETTING = /certificate|TLS/;

export async function webhookFindings(
  sink: WebhookSinkConfig,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const lists = await Promise.all(
    sink.routes.map(async (route): Promise<readonly Finding[]> => {
      const found = await endpointFinding(sink, route, signal);
      return route.secrets.length > 0 ? [found] : [found, unsigned(route)];
    }),
  );
  return lists.flat();
}

async function endpointFinding(
  sink: WebhookSinkConfig,
  { id, url }: WebhookRouteConfig,
  signal: AbortSignal,
): Promise<Finding> {
  const { origin } = new URL(url);
  const name = `Route ${id} (${origin})`;
  const where = `sink.routes.${id}.url`;
  const error = await connectionError(sink, url, signal);
  if (error === undefined) return good(CHECK, `${name} can be connected to.`);
  const found = `${name} ${reasonOf(error)}.`;
  if (error instanceof AddressRefused) {
    const fix = `sink.allow_private: true  # or another ${where}`;
    return fault("SINK_SETTING", CHECK, found, fix);
  }
  if (SETTING.test(found)) {
    const fix = `sink.tls.ca: the authority that signed it  # or another ${where}`;
    return fault("SINK_SETTING", CHECK, found, fix);
  }
  return fault("SINK_UNAVAILABLE", CHECK, found, `${where}: an endpoint that is up`);
}

/** Why no connection comes about; undefined if one does. */
async function connectionError(
  { allowPrivate, timeoutMs, tls }: WebhookSinkConfig,
  url: string,
  signal: AbortSignal,
): Promise<Error | undefined> {
  const { buildConnector } = await import("undici");
  const { ca, cert, key } = tls;
  const certificates = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
  const connect = makeConnector(buildConnector, { allowPrivate, timeoutMs, tls: certificates });
  const { protocol, host, port, hostname } = new URL(url);
  return new Promise(resolve => {
    signal.addEventListener("abort", () => resolve(IN_VAIN), { once: true });
    if (signal.aborted) resolve(IN_VAIN);
    connect(
      { protocol, host, port, hostname: hostname.replace(/^\[|\]$/g, "") },
      (error, socket) => {
        socket?.destroy();
        resolve(error ?? undefined);
      },
    );
  });
}

const IN_VAIN = Object.assign(new Error("the time was over"), { code: "ETIMEDOUT" });

function unsigned({ id }: WebhookRouteConfig): Finding {
  return warning(
    "webhook.secrets",
    `Requests of route ${id} are not signed: whoever knows its URL can send the like.`,
    `sink.routes.${id}.secrets: ["\${WEBHOOK_SECRET}"]  # whsec_ and 24 random bytes in base64`,
  );
}
