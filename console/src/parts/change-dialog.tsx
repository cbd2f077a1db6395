// A change of the topology: planned first, shown as it would be, and made only then. The epoch for which it was planned goes with
// it, so that what is made is what was shown.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { z } from "zod";
import type { changeReplySchema } from "../../../worker/api/schemas.ts";
import { ApiError, callJson } from "../api.ts";
import { count, plural } from "../format.ts";
import { view } from "../live.ts";
import { Dialog, Problem } from "./dialog.tsx";
import { useAction } from "./hooks.ts";
import { ShardMark } from "./marks.tsx";
import { say } from "./notice.ts";
import { Table } from "./panel.tsx";

type ChangeReply = z.infer<typeof changeReplySchema>;

const PATH = "/admin/v1/topology";

export interface TopologyChange {
  readonly kind: string;
  readonly [field: string]: unknown;
}

interface ChangeDialogProps {
  readonly title: string;
  readonly action: string;
  readonly isDangerous?: boolean;
  /** What the change means. */
  readonly children: ComponentChildren;
  /** Undefined: the form is not filled in yet. */
  readonly change: TopologyChange | undefined;
  readonly onClose: () => void;
}

export function ChangeDialog({ title, action, isDangerous = false, children, change, onClose }: ChangeDialogProps) {
  const [plan, setPlan] = useState<{ epoch: number; wanted: string; reply: ChangeReply } | undefined>(undefined);
  const { isBusy, problem, run } = useAction();
  const wanted = JSON.stringify(change);
  const preview = () =>
    run(async () => {
      setPlan(undefined);
      const epoch = view.value?.epoch ?? 0;
      const reply = await callJson<ChangeReply>(`${PATH}?dry_run=true`, { method: "POST", body: { ...change, epoch } });
      setPlan({ epoch, wanted, reply });
    });
  // A plan is of one wish: another wish needs another plan.
  const shown = plan?.wanted === wanted ? plan : undefined;
  const apply = () =>
    run(async () => {
      if (shown === undefined) return;
      try {
        const body = { ...change, epoch: shown.epoch };
        const { untold = [], epoch } = await callJson<ChangeReply>(PATH, { method: "POST", body });
        const late = untold.length === 0 ? "" : ` ${plural(untold.length, "replica")} will hear of it from the others.`;
        say(`${title}: done, in epoch ${epoch}.${late}`);
        onClose();
      } catch (error) {
        if (error instanceof ApiError && error.slug === "epoch-conflict") setPlan(undefined);
        throw error;
      }
    });
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (shown === undefined) preview();
          else apply();
        }}
      >
        <div class="dialog-body">
          {children}
          {shown !== undefined && <Plan {...shown.reply.plan} />}
        </div>
        <Problem text={problem} />
        <footer class="dialog-foot">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          {shown === undefined ? (
            <button type="submit" class="primary" disabled={isBusy || change === undefined}>
              {isBusy ? "Planning" : "Preview"}
            </button>
          ) : (
            <button type="submit" class={isDangerous ? "danger" : "primary"} disabled={isBusy}>
              {isBusy ? "Working" : action}
            </button>
          )}
        </footer>
      </form>
    </Dialog>
  );
}

function Plan({ movedSlots, idealSlots, moves, shards }: ChangeReply["plan"]) {
  const [isSeen, setSeen] = useState(false);
  useEffect(() => setSeen(true), []);
  return (
    <div class="plan" role="status" data-testid="plan">
      {isSeen && (
        <p>
          {movedSlots === 0
            ? "No slots move."
            : `${plural(movedSlots, "slot")} will move; the shares differ by ${figure(idealSlots)}.`}{" "}
          Nothing has been changed yet.
        </p>
      )}
      {shards.length > 0 && (
        <Table
          label="Shards before and after"
          head={["Shard", "Weight", "Before", "After", "Change"]}
          numeric={[1, 2, 3, 4]}
        >
          {shards.map(({ shard, weight, slotsBefore, slotsAfter }) => (
            <tr key={shard}>
              <th scope="row">
                <ShardMark shard={shard} />
              </th>
              <td class="number">{weight}</td>
              <td class="number">{count(slotsBefore)}</td>
              <td class="number">{count(slotsAfter)}</td>
              <td class="number">{signed(slotsAfter - slotsBefore)}</td>
            </tr>
          ))}
        </Table>
      )}
      {moves.length > 0 && (
        <Table label="Slots that move" head={["From", "To", "Slots", "Why"]} numeric={[2]}>
          {moves.map(({ from, to, reason, slots }) => (
            <tr key={`${from} ${to} ${reason}`}>
              <td>
                <ShardMark shard={from} />
              </td>
              <td>
                <ShardMark shard={to} />
              </td>
              <td class="number">{count(slots.length)}</td>
              <td>{reason.replaceAll("_", " ")}</td>
            </tr>
          ))}
        </Table>
      )}
    </div>
  );
}

function signed(value: number): string {
  return value > 0 ? `+${count(value)}` : value < 0 ? `−${count(-value)}` : "0";
}

function figure(value: number): string {
  return Number.isInteger(value) ? count(value) : value.toFixed(1);
}
