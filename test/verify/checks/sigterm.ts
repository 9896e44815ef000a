/** Stopped gracefully under load: what was read is delivered and released, and nothing is repeated. */
import { withCampaign, type Outcome } from "../campaign.ts";
import { rounds } from "../options.ts";
import { sleep } from "../wait.ts";
import type { CheckContext } from "./check.ts";

const STOP_MAX_MS = 10_000;

export async function sigterm({ options, servers, mutant }: CheckContext): Promise<Outcome> {
  const setup = {
    ...{ name: "sigterm", options, mutant, start: "latest" as const },
    mysql: await servers.mysql(),
    kafka: options.target === "kafka" ? await servers.kafka(1) : undefined,
  };
  return withCampaign(setup, async campaign => {
    const { product, random, writer } = campaign;
    const restarts = options.kills ?? rounds(options, 20, 3);
    let stopMsMax = 0;
    let unclean = 0;
    await campaign.startReading();
    writer.start();
    for (let restart = 0; restart < restarts; restart += 1) {
      await campaign.awaitDelivery(product.startedAtMs);
      await sleep(random.int(20, 2_000));
      campaign.assertRunning();
      const exit = await product.terminate();
      stopMsMax = Math.max(stopMsMax, Math.round(exit.tookMs));
      if (exit.code !== 0) unclean += 1;
      await campaign.checkCommit();
      await sleep(random.int(0, 600));
      product.start();
    }
    return campaign.finish({
      extra: { restarts, stop_ms_max: stopMsMax, unclean_stops: unclean },
      conditions: { stops_in_time: stopMsMax < STOP_MAX_MS, stops_cleanly: unclean === 0 },
    });
  });
}
