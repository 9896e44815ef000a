/**
 * `tidemark check`: each thing that can be wrong with the servers is made wrong, one after the other. It has to
 * be found, with its sentence, its statement and its exit code; `run` has to refuse to start for the same
 * reason; and when the statements have been run, as they are printed, nothing may be left.
 */
import { startKafka } from "../../../tools/services/services.ts";
import { casesOf } from "../../check/cases.ts";
import { judge } from "../../check/judge.ts";
import { authorizer, type Stage } from "../../check/scene.ts";
import type { Outcome } from "../campaign.ts";
import { builtBundle } from "../product.ts";
import { progress, progressError } from "../progress.ts";
import { Random } from "../random.ts";
import type { CheckContext } from "./check.ts";

/** A quick run takes every n-th case, another set with each seed. */
const QUICK_STEP = 10;

export async function findings({ options, servers }: CheckContext): Promise<Outcome> {
  const startedMs = performance.now();
  const all = casesOf(options.mysql);
  const first = new Random(options.seed, "check").int(0, QUICK_STEP - 1);
  const planned = options.quick ? all.filter((_, i) => i % QUICK_STEP === first) : all;
  const kafka = await startKafka({ properties: authorizer });
  const stage: Stage = {
    bundle: builtBundle(undefined),
    mysql: await servers.mysql(),
    kafka,
    three: () => servers.kafka(3),
  };
  const wrong: string[] = [];
  let judged = 0;
  try {
    for (const one of planned) {
      try {
        const faults = await judge(stage, one);
        judged += 1;
        for (const fault of faults) progress(`check: ${one.name}: ${fault}`);
        if (faults.length > 0) wrong.push(one.name);
        else progress(`check: ${one.name}: as it has to be`);
      } catch (error) {
        progressError(`check: ${one.name}`, error);
        wrong.push(one.name);
      }
    }
  } finally {
    await servers.stopThree();
    await kafka.stop();
  }
  return {
    ok: wrong.length === 0,
    void: wrong.length === 0 && judged < planned.length,
    figures: {
      seed: options.seed,
      mysql: options.mysql,
      cases: judged,
      planned: planned.length,
      wrong: wrong.length,
      wrong_cases: wrong.join(", "),
      seconds: Math.round((performance.now() - startedMs) / 1000),
    },
  };
}
