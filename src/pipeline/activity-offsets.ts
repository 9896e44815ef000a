/** What the encoder of the format `activity` keeps in the checkpoint, apart from what sinks keep there. */
import type { NextOffsets } from "../core/checkpoint.ts";
import { ACTIVITY_PREFIX, type ActivityEncoder } from "../queue/activity-encoder.ts";
import type { Sink } from "../sinks/sink.ts";

/** Opens the sink with what is its own, and tells the encoder the rest. */
export function openingWith(
  encoder: ActivityEncoder | undefined,
  sink: Pick<Sink, "open">,
): Pick<Sink, "open"> {
  if (encoder === undefined) return sink;
  return {
    open: (resume, events, signal) => {
      const { nextOffsets = {} } = resume;
      encoder.resume(nextOffsets);
      const own = resume.nextOffsets && withoutActivity(nextOffsets);
      return sink.open({ ...resume, nextOffsets: own }, events, signal);
    },
  };
}

export function withoutActivity(offsets: NextOffsets): NextOffsets {
  const own = Object.entries(offsets).filter(([name]) => !name.startsWith(ACTIVITY_PREFIX));
  return Object.fromEntries(own);
}
