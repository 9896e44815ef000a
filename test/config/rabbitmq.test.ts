import { describe, expect, test } from "vitest";
import { redact } from "../../src/config/redact.ts";
import { faultsOf, MINIMAL, parse } from "./support.ts";

const withSink = (sink: string): string =>
  MINIMAL.replace("type: kafka\n      brokers: [kafka]", `type: rabbitmq\n      ${sink}`);
const sinkOf = (sink: string): unknown => parse(withSink(sink)).config.pipelines[0]?.sink;

describe("a sink of type rabbitmq", () => {
  test("has defaults for everything but its host", () => {
    expect(sinkOf("host: 127.0.0.1")).toEqual({
      type: "rabbitmq",
      host: "127.0.0.1",
      port: 5672,
      vhost: "/",
      user: "guest",
      password: "guest",
      tls: { mode: "disabled", ca: undefined, cert: undefined, key: undefined },
      exchange: "",
      routingKey: "{database}.{table}",
      persistent: true,
      declare: { exchangeType: undefined, queues: false, queueType: "classic" },
      heartbeatS: 30,
      delivery: "at-least-once",
    });
  });

  test("reads everything from a URL", () => {
    expect(sinkOf("url: 'amqps://a%40b:p%2Fw@[2001:db8::1]/a%2Fb'")).toMatchObject({
      ...{ host: "2001:db8::1", port: 5671, vhost: "a/b", user: "a@b", password: "p/w" },
      tls: { mode: "verify_identity" },
    });
    expect(sinkOf("url: amqp://localhost:1")).toMatchObject({ port: 1, tls: { mode: "disabled" } });
  });

  const sink = "pipelines.shop.sink";
  test.each([
    ["exchange: x", `${sink}.host: is required, or url`],
    ["url: http://h", `${sink}.url: expected amqp://`],
    ["url: amqps://h\n      port: 1", `${sink}.port: belongs into url, which is there`],
    ["url: amqp://127.0.0.1\n      tls: {}", `${sink}.tls: needs a url that begins with amqps:`],
    ["url: amqp://h", `${sink}.tls: without it the password is sent unencrypted`],
    ["host: localhost\n      user: a", `${sink}.password: is required, or password_file`],
    ["host: localhost\n      routing_key: '{x}'", `${sink}.routing_key: the only placeholders`],
  ])("%j is refused", (text, fault) => {
    expect(faultsOf(() => parse(withSink(text)))).toEqual([expect.stringContaining(fault)]);
  });

  test("takes dead letters, to another place than its own", () => {
    const text = withSink("host: localhost");
    const letters = "    on_refused: { dead_letter: { type: stdout } }\n";
    expect(parse(text + letters).config.pipelines[0]?.deadLetter).toMatchObject({ type: "stdout" });
    const same = "    on_refused: { dead_letter: { type: kafka, brokers: [kafka] } }\n";
    expect(faultsOf(() => parse(MINIMAL + same))).toEqual([
      "pipelines.shop.on_refused.dead_letter.topic: must be another one than that of the sink",
    ]);
  });

  test("hides the password of its URL, and no more of it", () => {
    const { settings } = parse(withSink("url: amqps://me:Pl4nted@rabbit/v"));
    expect(redact(settings)).toMatchObject({
      pipelines: [{ sink: { url: "amqps://me:********@rabbit/v" } }],
    });
  });
});
