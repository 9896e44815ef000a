/** Addresses of servers. */

const KAFKA_PORT = 9092;

/** `host`, `host:port` or `[v6]:port` → `host:port`; undefined if it is none of them. */
export function parseBroker(broker: string): string | undefined {
  if (/[\s/@?#]/.test(broker) || !URL.canParse(`kafka://${broker}`)) return undefined;
  const url = new URL(`kafka://${broker}`);
  if (url.hostname === "" || url.port === "0") return undefined;
  return `${url.hostname}:${url.port === "" ? KAFKA_PORT : url.port}`;
}

export function brokerFault(broker: string): string | undefined {
  return parseBroker(broker) === undefined
    ? "expected host:port, without a scheme and without a path"
    : undefined;
}

/** `host`, `host:port` or `[v6]:port` → its parts; undefined if it is none of them. */
export function parseHost(
  address: string,
): { readonly host: string; readonly port: number | undefined } | undefined {
  const [, bracketed, plain, digits] = HOST.exec(address) ?? [];
  const host = bracketed ?? plain;
  const port = digits === undefined ? undefined : Number(digits);
  if (host === undefined || port === 0 || (port ?? 0) > 65_535) return undefined;
  return { host, port };
}

const HOST = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s/@:?#[\]]+))(?::(\d{1,5}))?$/;

export function hostFault(address: string): string | undefined {
  return parseHost(address) === undefined
    ? "expected host or host:port, without a scheme and without a path"
    : undefined;
}

/** True for a host that cannot be anywhere but on this machine. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, "").toLowerCase();
  return name === "localhost" || name === "::1" || /^127(\.\d{1,3}){3}$/.test(name);
}

/** The host of a `host:port`. */
export function brokerHost(broker: string): string {
  return broker.slice(0, broker.lastIndexOf(":"));
}
