// How L1 keeps answers that did not come as HTTP: as they are.

import type { ReadOk } from "../../durable/protocol.ts";
import type { AnswerCodec } from "../../worker/l1/near-client.ts";

export const plainCodec: AnswerCodec<ReadOk, ReadOk> = {
  hintOf: ({ hot }) => hot,
  async bodyOf({ hot: _, ...reply }) {
    const { entry } = reply;
    const isWhole = entry?.extras?.parts === undefined && entry?.isAccessDue !== true && entry?.stale === undefined;
    return isWhole ? { body: reply, bytes: entry?.size ?? 0 } : undefined;
  },
  answerOf: (reply, level = reply.level) => ({ ...reply, level }),
  positionOf: ({ from: { shard, term, index } }) => ({ shard, term, index }),
};
