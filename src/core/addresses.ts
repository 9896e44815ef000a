/**
 * What kind of place an IP address leads to. A webhook's URL may come from somebody else, and must not
 * make us ask a service that only we can reach.
 *
 *   public    anywhere on the internet
 *   private   this machine, or a network that is not the internet's: allowed if the operator says so
 *   special   link-local (where clouds keep credentials), multicast, reserved: never a webhook's place
 */
import { BlockList, isIP } from "node:net";

export type AddressKind = "public" | "private" | "special";

type Range = readonly [network: string, prefix: number];

const PRIVATE_V4: readonly Range[] = [
  ["10.0.0.0", 8],
  ["100.64.0.0", 10], // Behind a carrier's translation.
  ["127.0.0.0", 8],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
];
const SPECIAL_V4: readonly Range[] = [
  ["0.0.0.0", 8],
  ["169.254.0.0", 16],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
];
const PRIVATE_V6: readonly Range[] = [
  ["::1", 128],
  ["fc00::", 7],
];
/** Everything that is given to the internet lies in here. */
const GLOBAL_V6: Range = ["2000::", 3];
const SPECIAL_V6: readonly Range[] = [
  ["2001::", 23], // Teredo and other protocols that wrap an address of version 4.
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
];
/** Their last four bytes are an address of version 4: it counts. */
const WRAPPED_V4: readonly Range[] = [
  ["::ffff:0:0", 96],
  ["64:ff9b::", 96],
];

function list(family: "ipv4" | "ipv6", ranges: readonly Range[]): (address: string) => boolean {
  const blocks = new BlockList();
  for (const [network, prefix] of ranges) blocks.addSubnet(network, prefix, family);
  return address => blocks.check(address, family);
}

const isPrivateV4 = list("ipv4", PRIVATE_V4);
const isSpecialV4 = list("ipv4", SPECIAL_V4);
const isPrivateV6 = list("ipv6", PRIVATE_V6);
const isGlobalV6 = list("ipv6", [GLOBAL_V6]);
const isSpecialV6 = list("ipv6", SPECIAL_V6);
const wrapping = WRAPPED_V4.map(range => list("ipv6", [range]));

/** Undefined for a text that is no address. */
export function addressKind(address: string): AddressKind | undefined {
  const bare = address.replace(/^\[|\]$/g, "").replace(/%.*$/, "");
  const version = isIP(bare);
  if (version === 0) return undefined;
  if (version === 4) return kindOfV4(bare);
  if (wrapping.some(isIn => isIn(bare))) return kindOfV4(lastFourBytes(bare));
  if (isPrivateV6(bare)) return "private";
  return isGlobalV6(bare) && !isSpecialV6(bare) ? "public" : "special";
}

function kindOfV4(address: string): AddressKind {
  if (isPrivateV4(address)) return "private";
  return isSpecialV4(address) ? "special" : "public";
}

function lastFourBytes(address: string): string {
  const dotted = /(?:\d+\.){3}\d+$/.exec(address);
  if (dotted) return dotted[0];
  // A URL writes each address in one way only, in which the last two groups are there unless they are 0.
  const { hostname } = new URL(`http://[${address}]`);
  const groups = hostname.slice(1, -1).split("::").at(-1)?.split(":") ?? [];
  const [high, low] = [groups.at(-2), groups.at(-1)].map(group => parseInt(group ?? "", 16) || 0);
  return [(high ?? 0) >> 8, (high ?? 0) & 255, (low ?? 0) >> 8, (low ?? 0) & 255].join(".");
}
