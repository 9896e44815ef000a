/** What every check is given, and what it gives back. */
import type { Outcome } from "../campaign.ts";
import type { Options } from "../options.ts";
import type { Servers } from "../servers.ts";

export interface CheckContext {
  readonly options: Options;
  readonly servers: Servers;
  /** Name of the wrong build to run instead of the real one. */
  readonly mutant?: string | undefined;
}

export type Check = (context: CheckContext) => Promise<Outcome>;
