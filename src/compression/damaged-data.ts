/** Why compressed data cannot be unpacked. Who asked for it knows where it stands, and says so. */
export class DamagedDataError extends Error {
  override readonly name = "DamagedDataError";
}
