import { describe, expect, test } from "vitest";
import { printSettings } from "../../src/config/redact.ts";
import { parse } from "./support.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const file = (route: string, sink = ""): string => `
source: { host: db.internal, user: cdc }
pipelines:
  - name: shop
    tables: ["shop.*"]
    sink:
      type: webhook
      routes: [{ id: users, ${route} }]
${sink}`;

const HTTPS = "url: https://api.example.com/hook";

function faultsOf(text: string): string {
  try {
    parse(text);
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

describe("a sink of type webhook", () => {
  test("has defaults that fail closed", () => {
    const [pipeline] = parse(file(HTTPS)).config.pipelines;
    expect(pipeline?.commitLog).toEqual({ type: "file", dir: "tidemark-state" });
    expect(pipeline?.sink).toMatchObject({
      delivery: "at-least-once",
      routes: [
        { tables: ["*.*"], events: ["insert", "update", "delete", "truncate"], secrets: [] },
      ],
      concurrency: 32,
      timeoutMs: 15_000,
      retries: undefined,
      allowPrivate: false,
      tls: { mode: "verify_identity" },
      park: undefined,
    });
  });

  test("shows no secret, no path and no login of a URL", () => {
    const text = file(
      `url: "https://me:Tr4ct0r@api.example.com:8443/T00/Tr4ct0r?t=Tr4ct0r", secrets: [${SECRET}]`,
    );
    const printed = printSettings(parse(text).settings);
    expect(printed).toContain("https://api.example.com:8443/********");
    expect(printed).not.toMatch(/Tr4ct0r|MfKQ9r8/);
  });

  test.each<[string, string, string, string]>([
    ["no URL", "url: api.example.com", "", "routes[0].url: expected a URL"],
    ["another scheme", "url: ftp://api.example.com", "", "routes[0].url: expected a URL"],
    ["http", "url: http://api.example.com", "", "url: expected https"],
    ["a loopback name", "url: https://localhost/", "", "url: this is a loopback"],
    ["a private address", "url: https://10.1.2.3/", "", "url: this is a loopback"],
    ["one in disguise", 'url: "https://0x7f.1/"', "", "url: this is a loopback"],
    ["one in version 6", 'url: "https://[::ffff:10.0.0.1]/"', "", "url: this is a loopback"],
    [
      "a link-local address, even if private ones are allowed",
      "url: https://169.254.169.254/",
      "      allow_private: true",
      "url: a link-local",
    ],
    ["a secret without its prefix", `${HTTPS}, secrets: [abc]`, "", 'expected "whsec_"'],
    ["a short secret", `${HTTPS}, secrets: [whsec_YWJj]`, "", 'expected "whsec_"'],
    ["a key that is not there", `${HTTPS}, urll: x`, "", "urll: there is no such key"],
    ["retries", HTTPS, "      retries: sometimes", "retries: expected unlimited"],
    ["a small park", HTTPS, "      park: { dir: x, max_size: 1KB }", "max_size: expected a size"],
  ])("refuses %s", (_, route, sink, fault) => {
    expect(faultsOf(file(route, sink))).toContain(fault);
  });

  test("allows what is asked for", () => {
    const sink = "      allow_http: true\n      allow_private: true\n      retries: 3";
    expect(faultsOf(file('url: "http://127.0.0.1:8081/"', sink))).toBe("");
  });

  test("shows all faults at once, and repeats no value", () => {
    const routes = `${HTTPS}, secrets: [Tr4ct0r] }, { id: users, url: "http://Tr4ct0r.example.com"`;
    const faults = faultsOf(file(routes, "      concurrency: 0"));
    expect(faults).toContain("concurrency");
    expect(faults).toContain("secrets");
    expect(faults).not.toContain("Tr4ct0r");
    const valid = `${HTTPS} }, { id: users, url: "http://Tr4ct0r.example.com"`;
    expect(faultsOf(file(valid))).toMatch(/routes\[1\]\.id: another route[^]*url: expected https/);
  });
});
