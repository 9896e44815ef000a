/**
 * Connects to endpoints, and only to addresses that are allowed. A name is looked up once for each
 * connection, the answer is checked, and the connection is made to that very address: a name that leads
 * somewhere else a moment later changes nothing.
 */
import { lookup as systemLookup, type LookupAddress } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import type { buildConnector } from "undici";
import { addressKind } from "../core/addresses.ts";
import type { EndpointTls } from "./webhook-options.ts";

type Answer = (error: Error | null, addresses: readonly LookupAddress[]) => void;

/** All addresses of a name. */
export type ResolveName = (hostname: string, answer: Answer) => void;

export const resolveName: ResolveName = (hostname, answer) =>
  systemLookup(hostname, { all: true }, (error, addresses) => answer(error, addresses));

export interface ConnectorOptions {
  readonly allowPrivate: boolean;
  /** For connecting and encrypting together. */
  readonly timeoutMs: number;
  readonly tls: EndpointTls;
  readonly resolve?: ResolveName | undefined;
}

/** The address may not be asked. */
export class AddressRefused extends Error {
  override readonly name = "AddressRefused";

  constructor(hostname: string, address: string) {
    const leads = isIP(hostname) === 0 ? `${hostname} leads to ${address}, which` : address;
    super(`${leads} is a private, link-local or reserved address`);
  }
}

export function isAllowed(address: string, allowPrivate: boolean): boolean {
  const kind = addressKind(address);
  return kind === "public" || (kind === "private" && allowPrivate);
}

/** @throws AddressRefused unless every address of the name is allowed. */
function checkAddresses(
  hostname: string,
  addresses: readonly LookupAddress[],
  allowPrivate: boolean,
): void {
  const refused = addresses.find(({ address }) => !isAllowed(address, allowPrivate));
  if (refused !== undefined) throw new AddressRefused(hostname, refused.address);
}

/** What `net.connect` asks for the address of a name. */
export function checkedLookup({
  allowPrivate,
  resolve = resolveName,
}: ConnectorOptions): LookupFunction {
  return (hostname, options, callback) =>
    resolve(hostname, (error, addresses) => {
      const [first] = addresses;
      if (error || first === undefined) {
        callback(error ?? new Error(`${hostname} has no address`), "", 0);
        return;
      }
      try {
        checkAddresses(hostname, addresses, allowPrivate);
      } catch (refused) {
        callback(refused as Error, "", 0);
        return;
      }
      if (options.all === true) callback(null, [...addresses]);
      else callback(null, first.address, first.family);
    });
}

/** A connector for undici; `build` is its `buildConnector`. */
export function makeConnector(
  build: typeof buildConnector,
  options: ConnectorOptions,
): buildConnector.connector {
  const { allowPrivate, timeoutMs, tls } = options;
  const connect = build({ timeout: timeoutMs, lookup: checkedLookup(options), ...tls });
  return (target, callback) => {
    // An address in the URL is never looked up.
    if (isIP(target.hostname) !== 0 && !isAllowed(target.hostname, allowPrivate)) {
      callback(new AddressRefused(target.hostname, target.hostname), null);
      return;
    }
    connect(target, (...result) => {
      const [error, socket] = result;
      const address = socket?.remoteAddress;
      if (error === null && address !== undefined && !isAllowed(address, allowPrivate)) {
        socket.destroy();
        callback(new AddressRefused(target.hostname, address), null);
        return;
      }
      callback(...result);
    });
  };
}
