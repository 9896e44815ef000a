import { afterAll, expect, test } from "vitest";
import { startElasticmq, stopAll } from "../../tools/services/services.ts";

afterAll(stopAll);

test("answers as SQS does, and starts again on the same port", async () => {
  const elasticmq = await startElasticmq();
  const ask = async (query: string): Promise<string> =>
    (await fetch(`${elasticmq.url}/?${query}`)).text();
  expect(await ask("Action=CreateQueue&QueueName=orders")).toContain(`${elasticmq.url}/`);
  elasticmq.kill("SIGKILL");
  await elasticmq.start();
  expect(await ask("Action=ListQueues")).toContain("ListQueuesResponse");
});
