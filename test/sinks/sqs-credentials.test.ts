/** That credentials come by the ways of AWS which need requests of their own, as on Kubernetes. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { SqsClient } from "../../src/sinks/sqs-client.ts";
import { makeFolder, removeFolder } from "../support/files.ts";
import { WebhookServer } from "../support/webhook-server.ts";

const ANSWER = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIATEMPORARY</AccessKeyId>
<SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>`;

let folder = "";
let server: WebhookServer;

beforeEach(async () => {
  folder = makeFolder();
  server = await WebhookServer.start();
  server.behave = ({ path }, response) => {
    if (path === "/sts/") {
      response.setHeader("content-type", "text/xml").end(ANSWER);
      return;
    }
    response.setHeader("content-type", "application/x-amz-json-1.0");
    response.end(JSON.stringify({ QueueUrl: "http://localhost/0/orders" }));
  };
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await server.stop();
  removeFolder(folder);
});

test("a role is taken on with a token from a file", async () => {
  const token = join(folder, "token");
  writeFileSync(token, "a.b.c");
  for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"]) {
    vi.stubEnv(name, undefined);
  }
  vi.stubEnv("AWS_CONFIG_FILE", join(folder, "none"));
  vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", join(folder, "none"));
  vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true");
  vi.stubEnv("AWS_WEB_IDENTITY_TOKEN_FILE", token);
  vi.stubEnv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/tidemark");
  const { origin } = new URL(server.url);
  vi.stubEnv("AWS_ENDPOINT_URL_STS", `${origin}/sts`);
  const client = new SqsClient({
    ...{ region: "eu-west-1", endpoint: `${origin}/sqs`, inFlightMax: 2, clock: systemClock },
  });
  const url = await client.queueUrl("orders", new AbortController().signal);
  client.close();
  expect(url).toBe("http://localhost/0/orders");
  const [tokenAsked, queueAsked] = server.received;
  expect(tokenAsked?.body).toContain("WebIdentityToken=a.b.c");
  expect(queueAsked?.headers.authorization).toContain("Credential=ASIATEMPORARY/");
});
