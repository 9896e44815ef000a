/**
 * MySQL's side breaks: dump threads are killed, the server is restarted, binlog files change each second,
 * and the network between swallows everything. Tidemark reconnects each time, in the same process.
 */
import type { Mysql } from "../../../tools/services/services.ts";
import { startProxy, type Proxy } from "../../../tools/services/tcp-proxy.ts";
import { withCampaign, type Campaign, type Outcome } from "../campaign.ts";
import { rounds, stallMs } from "../options.ts";
import { progress } from "../progress.ts";
import { withConnection } from "../servers.ts";
import { sleep, until } from "../wait.ts";
import type { CheckContext } from "./check.ts";

export async function dump({ options, servers, mutant }: CheckContext): Promise<Outcome> {
  const mysql = await servers.mysql();
  const kafka = await servers.kafka(1);
  const proxy = await startProxy({ host: mysql.host, port: mysql.port });
  const setup = {
    ...{ name: "dump", options, mutant, mysql, kafka, mysqlPort: proxy.port },
    ddl: false,
    rowsPerSecond: 1_500,
  };
  try {
    return await withCampaign(setup, async campaign => {
      const { product, writer } = campaign;
      await campaign.startReading();
      writer.start();
      await campaign.awaitDelivery(product.startedAtMs);
      const dropped = await killDumpThreads(campaign, options.kills ?? rounds(options, 20));
      const restarts = rounds(options, 3, 1);
      await restartMysql(campaign, restarts);
      const flushes = await flushLogs(campaign, mysql, stallMs(options, 60_000));
      const blackholeMs = await blackhole(campaign, proxy, stallMs(options, 60_000));
      return campaign.finish({
        extra: {
          dump_threads_killed: dropped,
          mysql_restarts: restarts,
          flushes,
          recovery_blackhole_ms: blackholeMs,
          starts: product.starts,
        },
        conditions: { same_process: product.starts === 1 },
      });
    });
  } finally {
    await proxy.close();
  }
}

async function killDumpThreads(campaign: Campaign, count: number): Promise<number> {
  const { random } = campaign;
  for (let done = 0; done < count; done += 1) {
    await sleep(random.int(100, 1_500));
    const threads = await campaign.dumpThreads();
    await withConnection(campaign.setup.mysql, async connection => {
      for (const thread of threads) {
        // It may have ended by itself.
        await connection.query(`KILL ${thread}`).catch(() => undefined);
      }
    });
    const since = performance.now();
    await until(
      async () => {
        campaign.assertRunning();
        return (await campaign.dumpThreads()).some(thread => !threads.includes(thread));
      },
      { what: "Tidemark reads the binlog again", timeoutMs: 60_000 },
    );
    await campaign.observe();
    await campaign.awaitDelivery(since);
  }
  progress(`dump: ${count} dump threads killed`);
  return count;
}

async function restartMysql(campaign: Campaign, count: number): Promise<void> {
  const { mysql } = campaign.setup;
  for (let done = 0; done < count; done += 1) {
    await sleep(campaign.random.int(500, 1_500));
    if (done % 2 === 0) {
      await mysql.stop();
    } else {
      mysql.kill("SIGKILL");
    }
    await mysql.start();
    const since = performance.now();
    await campaign.observe();
    await campaign.awaitDelivery(since);
    progress(`dump: MySQL restarted, ${campaign.backlog} changes behind`);
  }
}

async function flushLogs(campaign: Campaign, mysql: Mysql, forMs: number): Promise<number> {
  const deadline = performance.now() + forMs;
  let flushes = 0;
  while (performance.now() < deadline) {
    await withConnection(mysql, connection => connection.query("FLUSH BINARY LOGS"));
    flushes += 1;
    await campaign.observe();
    campaign.assertRunning();
    await sleep(1_000);
  }
  progress(`dump: ${flushes} binlog files closed`);
  return flushes;
}

async function blackhole(campaign: Campaign, proxy: Proxy, forMs: number): Promise<number> {
  proxy.blackhole(true);
  await sleep(forMs);
  campaign.assertRunning();
  await campaign.observe();
  proxy.blackhole(false);
  const since = performance.now();
  const tookMs = Math.round(await campaign.awaitDelivery(since));
  progress(`dump: black hole ended, first message after ${tookMs} ms`);
  return tookMs;
}
