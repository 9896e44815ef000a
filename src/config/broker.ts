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

/** True for a host that cannot be anywhere but on this machine. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, "").toLowerCase();
  return name === "localhost" || name === "::1" || /^127(\.\d{1,3}){3}$/.test(name);
}

/** The host of a `host:port`. */
export function brokerHost(broker: string): string {
  return broker.slice(0, broker.lastIndexOf(":"));
}
