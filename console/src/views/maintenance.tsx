// What is done to a cluster now and then: compare its replicas, hold up its background work, take its data out and put it in.

import { useState } from "preact/hooks";
import type { BackgroundReply, ClusterView, VerifyView } from "../../../worker/api/admin-schemas.ts";
import { callJson } from "../api.ts";
import { count, dateTime, plural, relative } from "../format.ts";
import { view } from "../live.ts";
import { Act } from "../parts/act.tsx";
import { ConfirmAction, Problem } from "../parts/dialog.tsx";
import { useAction } from "../parts/hooks.ts";
import { ShardMark } from "../parts/marks.tsx";
import { Panel, Table } from "../parts/panel.tsx";
import { ExportPanel } from "./export-panel.tsx";
import { ImportPanel } from "./import-panel.tsx";

export function MaintenanceView() {
  const cluster = view.value;
  if (cluster === undefined) return null;
  return (
    <>
      <Comparison />
      <Background cluster={cluster} />
      <div class="columns even">
        <ExportPanel cluster={cluster.cluster} />
        <ImportPanel cluster={cluster.cluster} />
      </div>
    </>
  );
}

type Compared = VerifyView["shards"][number]["replicas"][number];

function Comparison() {
  const [found, setFound] = useState<VerifyView | undefined>(undefined);
  const { isBusy, problem, run } = useAction();
  const compare = () =>
    run(async () => {
      setFound(await callJson<VerifyView>("/admin/v1/verify", { method: "POST", body: {} }));
    });
  return (
    <Panel
      title="Compare replicas"
      note="by digests of what they hold"
      actions={
        <Act needs="observe" orElse="admin" class="primary" disabled={isBusy} onClick={compare}>
          {isBusy ? "Comparing" : "Compare"}
        </Act>
      }
    >
      <Problem text={problem} />
      <p class="note" role="status" data-testid="comparison">
        {found === undefined
          ? "Nothing was compared since this page was opened. Replicas do it by themselves after writes."
          : verdictOf(found)}
      </p>
      {found !== undefined && (
        <Table label="What the replicas hold" head={["Shard", "Replica", "At index", "Agrees"]} numeric={[2]}>
          {found.shards.flatMap(({ shard, index, replicas }) =>
            replicas.map((replica) => (
              <tr key={replica.name}>
                <td>
                  <ShardMark shard={shard} />
                </td>
                <th scope="row">{replica.name}</th>
                <td class="number">{count(index)}</td>
                <td>
                  <Agreement replica={replica} />
                </td>
              </tr>
            )),
          )}
        </Table>
      )}
    </Panel>
  );
}

function verdictOf({ shards }: VerifyView): string {
  const replicas = shards.flatMap((shard) => shard.replicas);
  const differing = replicas.filter(({ agrees }) => agrees === false).length;
  const silent = replicas.filter(({ agrees }) => agrees === null).length;
  const agreeing = replicas.length - differing - silent;
  const parts = [`${plural(agreeing, "replica agrees", "replicas agree")} with the others of the shard`];
  if (differing > 0) parts.push(`${plural(differing, "differs", "differ")}, and will be made anew by the sweep`);
  if (silent > 0) parts.push(`${plural(silent, "says", "say")} nothing: nobody has written yet, or they do not answer`);
  return `${parts.join("; ")}.`;
}

function Agreement({ replica: { agrees, ranges, error } }: { readonly replica: Compared }) {
  if (error !== null) return <span class="health bad">no answer: {error}</span>;
  if (agrees === null) return <span class="quiet">says nothing</span>;
  const state = agrees ? "ok" : "bad";
  return (
    <span class={`health ${state}`}>
      <i class="dot" aria-hidden="true" />
      {agrees ? "yes" : `no, in ${plural(ranges?.length ?? 0, "range")} of 64`}
    </span>
  );
}

const HOUR_MS = 60 * 60_000;
const PAUSES = [
  ["15 minutes", HOUR_MS / 4],
  ["an hour", HOUR_MS],
  ["4 hours", 4 * HOUR_MS],
  ["a day", 24 * HOUR_MS],
] as const;

function Background({ cluster }: { readonly cluster: ClusterView }) {
  const [isAsking, setAsking] = useState(false);
  const { isBusy, problem, run } = useAction();
  const [untold, setUntold] = useState<readonly string[]>([]);
  const { paused, untilMs } = cluster.background;
  const tell = async (body: object) => {
    const reply = await callJson<BackgroundReply>("/admin/v1/background", { method: "POST", body });
    setUntold(reply.untold);
    return reply;
  };
  return (
    <Panel
      title="Background work"
      note="moves of slots, and the search for what has expired"
      actions={
        paused ? (
          <Act needs="admin" disabled={isBusy} onClick={() => run(async () => void (await tell({ paused: false })))}>
            Resume
          </Act>
        ) : (
          <Act needs="admin" onClick={() => setAsking(true)}>
            Pause
          </Act>
        )
      }
    >
      <p class="note" role="status" data-testid="background">
        {paused
          ? `Paused. It goes on by itself ${relative(untilMs, cluster.atMs)}, at ${dateTime(untilMs)}.`
          : "It goes on as it is needed."}
      </p>
      {untold.length > 0 && (
        <p class="note">Not told, because they did not answer: {untold.join(", ")}. They go on as before.</p>
      )}
      <Problem text={problem} />
      {isAsking && <PauseDialog pause={(forMs) => tell({ paused: true, forMs })} onClose={() => setAsking(false)} />}
    </Panel>
  );
}

interface PauseDialogProps {
  readonly pause: (forMs: number) => Promise<BackgroundReply>;
  readonly onClose: () => void;
}

function PauseDialog({ pause, onClose }: PauseDialogProps) {
  const [forMs, setForMs] = useState<number>(HOUR_MS);
  const work = async () => {
    const { untilMs } = await pause(forMs);
    return `Background work is paused until ${dateTime(untilMs)}.`;
  };
  return (
    <ConfirmAction title="Pause background work" action="Pause" work={work} onClose={onClose}>
      <p>
        Moves that have not begun wait, and what has expired keeps its room. Reads, writes, elections and repairs go on.
      </p>
      <label class="field">
        For
        <select value={forMs} onChange={(event) => setForMs(Number(event.currentTarget.value))}>
          {PAUSES.map(([words, ms]) => (
            <option key={ms} value={ms}>
              {words}
            </option>
          ))}
        </select>
      </label>
    </ConfirmAction>
  );
}
