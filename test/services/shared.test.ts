import { afterEach, expect, test, vi } from "vitest";
import { kafkaFromEnvironment, mysqlFromEnvironment } from "../../tools/services/shared.ts";

afterEach(() => vi.unstubAllEnvs());

test("reads the MySQL server of the environment, password decoded", () => {
  vi.stubEnv("TIDEMARK_MYSQL_URL", "mysql://reader:p%40ss@db.example:3307");
  expect(mysqlFromEnvironment()).toEqual({
    url: "mysql://reader:p%40ss@db.example:3307",
    host: "db.example",
    port: 3307,
    user: "reader",
    password: "p@ss",
  });
});

test("reads the brokers of the environment", () => {
  vi.stubEnv("TIDEMARK_KAFKA_BROKERS", "127.0.0.1:9092, 127.0.0.1:9093");
  expect(kafkaFromEnvironment()).toEqual({ brokers: ["127.0.0.1:9092", "127.0.0.1:9093"] });
});

test("has none when nothing is named", () => {
  vi.stubEnv("TIDEMARK_MYSQL_URL", "");
  vi.stubEnv("TIDEMARK_KAFKA_BROKERS", "");
  expect([mysqlFromEnvironment(), kafkaFromEnvironment()]).toEqual([undefined, undefined]);
});
