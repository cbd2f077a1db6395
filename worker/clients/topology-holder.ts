// The topology that this isolate routes by. It starts at epoch 0, computed from the deployment's variables without asking
// anyone, and moves forward only: a replica that refuses a slot hands over the newer document, which is checked first.

import { parseTopology } from "../../routing/topology-parser.ts";
import { TopologyView } from "../../routing/topology-view.ts";

export class TopologyHolder {
  #view: TopologyView;

  constructor(initial: TopologyView) {
    this.#view = initial;
  }

  get view(): TopologyView {
    return this.#view;
  }

  /**
   * Takes a document that came over the wire. Returns whether it was installed: it is not when it is no newer, belongs to
   * another cluster or is not a proper topology. Nothing changes then.
   */
  maybeInstall(document: unknown): boolean {
    const read = parseTopology(document);
    if (!read.ok) return false;
    if (read.topology.epoch <= this.#view.epoch) return false;
    if (read.topology.cluster !== this.#view.topology.cluster) return false;
    this.#view = new TopologyView(read.topology);
    return true;
  }
}
