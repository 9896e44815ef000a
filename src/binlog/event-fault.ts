/**
 * Why an event cannot be taken. The decoders know the reason, but not where in the binlog they are: the
 * translator adds file and position and makes a TidemarkError of it.
 */
export class EventFault extends Error {
  override readonly name = "EventFault";
  readonly code: "EVENT_UNREADABLE" | "SOURCE_SETTING" | "ROW_TOO_LARGE" | "TRANSACTION_IN_DOUBT";

  constructor(reason: string, code: EventFault["code"] = "EVENT_UNREADABLE") {
    super(reason);
    this.code = code;
  }
}

/** What every server understands; SET PERSIST is known to MySQL 8.0 and newer alone. */
export function setGlobal(name: string, value: string): string {
  return `run SET GLOBAL ${name} = ${value}, with ${name} = ${value} in my.cnf`;
}
