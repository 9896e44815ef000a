/** That credentials come by the ways of AWS which need requests of their own, as on Kubernetes. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { SqsClient } from "../../src/sinks/sqs-client.ts";
import { makeFolder, removeFolder } from "../support/files.ts";

const ANSWER = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIATEMPORARY</AccessKeyId>
<SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>`;

let folder = "";
let server: Server;
let origin = "";
/** What the service for tokens was asked, and who asked for the queue. */
let asked = "";
let authorization = "";

beforeEach(async () => {
  folder = makeFolder();
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      if (request.url === "/sts/") {
        asked = Buffer.concat(parts).toString();
        response.setHeader("content-type", "text/xml").end(ANSWER);
        return;
      }
      authorization = request.headers.authorization ?? "";
      response.setHeader("content-type", "application/x-amz-json-1.0");
      response.end(JSON.stringify({ QueueUrl: `${origin}/0/orders` }));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(() => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  server.close();
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
  vi.stubEnv("AWS_ENDPOINT_URL_STS", `${origin}/sts`);
  const client = new SqsClient({
    ...{ region: "eu-west-1", endpoint: `${origin}/sqs`, inFlightMax: 2, clock: systemClock },
  });
  const url = await client.queueUrl("orders", new AbortController().signal);
  client.close();
  expect(url).toBe(`${origin}/0/orders`);
  expect(asked).toContain("WebIdentityToken=a.b.c");
  expect(authorization).toContain("Credential=ASIATEMPORARY/");
});
