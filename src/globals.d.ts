/** Name of the deliberate fault that this build carries for `npm run verify`; "" in the real one. */
declare const __MUTANT__: string;
/** The version in package.json, put in at build time. */
declare const __VERSION__: string;
