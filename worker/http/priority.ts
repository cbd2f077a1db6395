// Pure. The Priority header (RFC 9218): what is shed first when a shard is overloaded. The RFC's urgency is meant for whoever
// serves a request, has eight steps and a default, and is sent by clients that know their traffic; a header of Halo's own would
// say the same in other words. `i` (incremental) and other parameters mean nothing here.

import { DEFAULT_URGENCY } from "../../durable/protocol.ts";

const URGENCY = /(?:^|,)[ \t]*u=([0-7])(?=[ \t]*(?:;|,|$))/g;

/** 0 (first) to 7 (last). What is malformed or out of range is ignored, as section 4 wants it; of several the last counts. */
export function parseUrgency(header: string | null): number {
  if (header === null) return DEFAULT_URGENCY;
  let urgency = DEFAULT_URGENCY;
  for (const [, digit] of header.matchAll(URGENCY)) urgency = Number(digit);
  return urgency;
}

/** The usual is not said: most requests are. */
export function saidUrgency(urgency: number | undefined): { readonly urgency?: number } {
  return urgency === undefined || urgency === DEFAULT_URGENCY ? {} : { urgency };
}
