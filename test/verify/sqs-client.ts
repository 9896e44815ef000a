/** How the checks themselves reach an ElasticMQ, which takes any credentials. */
import { SQSClient, type SQSClientConfig } from "@aws-sdk/client-sqs";
import type { Elasticmq } from "../../tools/services/services.ts";

export const REGION = "elasticmq";
const credentials = { accessKeyId: "x", secretAccessKey: "x" };

/** The same for a program that is started. */
export const awsEnvironment = {
  AWS_ACCESS_KEY_ID: credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
};

export function sqsClient({ url }: Elasticmq, more: SQSClientConfig = {}): SQSClient {
  const place = { endpoint: url, region: REGION, useQueueUrlAsEndpoint: false };
  return new SQSClient({ ...place, credentials, ...more });
}
