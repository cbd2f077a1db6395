// The topology that this isolate routes by. It starts at epoch 0, computed from the deployment's variables without asking
// anyone, and moves forward only: a replica that refuses a slot hands over the newer document, which is checked first, or says
// where its log has moved the slot before the document does. That is remembered until a document says as much.

import type { MovedSlot } from "../../durable/protocol.ts";
import { SLOT_COUNT } from "../../routing/slots.ts";
import type { Topology } from "../../routing/topology.ts";
import { parseTopology } from "../../routing/topology-parser.ts";
import { TopologyView } from "../../routing/topology-view.ts";

/** A slot that has moved, as the log of its former owner says. */
interface Handover {
  readonly to: number;
  readonly epoch: number;
}

export class TopologyHolder {
  /** As it was published. */
  #document: TopologyView;
  /** By slot; each of a later move than the document has recorded of it. */
  #handovers: ReadonlyMap<number, Handover> = new Map();
  #view: TopologyView;

  constructor(initial: TopologyView) {
    this.#document = initial;
    this.#view = initial;
  }

  /** With the slots at the shards that own them as far as is known here: another view whenever more is. */
  get view(): TopologyView {
    return this.#view;
  }

  /**
   * Takes a document that came over the wire. Returns whether it was installed: it is not when it is no newer, belongs to
   * another cluster or is not a proper topology. Nothing changes then.
   */
  maybeInstall(document: unknown): boolean {
    // Most that come are not: while slots move, every refusal brings one, and checking it costs more than the refusal.
    if (epochIn(document) <= this.#document.epoch) return false;
    const read = parseTopology(document);
    if (!read.ok) return false;
    if (read.topology.cluster !== this.#document.topology.cluster) return false;
    this.#document = new TopologyView(read.topology);
    this.#keep([...this.#handovers]);
    return true;
  }

  /** Takes what a replica says of a slot that its log has moved. Returns whether that is news. */
  maybeMove({ slot, shard, epoch }: MovedSlot): boolean {
    if (!Number.isInteger(slot) || slot < 0 || slot >= SLOT_COUNT || !Number.isInteger(epoch)) return false;
    const handover: Handover = { to: shard, epoch };
    if (epoch <= (this.#handovers.get(slot)?.epoch ?? 0) || !this.#isNews(slot, handover)) return false;
    this.#keep([...this.#handovers, [slot, handover]]);
    return true;
  }

  /** A document that has recorded the move, or a later one of the slot, knows better. */
  #isNews(slot: number, { to, epoch }: Handover): boolean {
    return epoch > this.#document.movedAt(slot) && this.#document.shard(to) !== undefined;
  }

  #keep(handovers: readonly (readonly [number, Handover])[]): void {
    this.#handovers = new Map(handovers.filter(([slot, handover]) => this.#isNews(slot, handover)));
    const { topology } = this.#document;
    this.#view = this.#handovers.size === 0 ? this.#document : new TopologyView(this.#moved(topology));
  }

  #moved(topology: Topology): Topology {
    return { ...topology, slots: topology.slots.map((owner, slot) => this.#handovers.get(slot)?.to ?? owner) };
  }
}

/** What a document says that may be anything. */
function epochIn(document: unknown): number {
  const isObject = typeof document === "object" && document !== null;
  return isObject && "epoch" in document && typeof document.epoch === "number" ? document.epoch : 0;
}
