// Pure. What may be read of each key while several clients write it. A write has a sequence number, from one counter, in the
// order in which writes are sent. While writes of a key overlap nobody can say which of them is the last; but one that was sent
// when none was under way, and was acknowledged, replaces all that were sent before it. So a read of anything older is wrong,
// and so is one of what was never sent.
//
//   writes   |--1--|   |--2--|
//                         |--3--|       |--4--|     a read that begins after 4 may find 4 alone; after 3: 2 or 3, not 1
//                                 ^ nothing under way: 4 replaces 2 and 3

export class Ledger {
  /** By key: writes and purges that were sent and not answered. One without an answer stays for ever. */
  readonly #underWay: number[] = [];
  /** By key: the last sequence number sent; 0 before the first. */
  readonly #sent: number[] = [];
  /** By key: what the last one was when nothing was under way. */
  readonly #settled: number[] = [];
  /** By key: the least sequence number that a read may find; 0: there may be nothing. */
  readonly #floor: number[] = [];
  /** By key: of this write and all before it nothing may be found, if there was a purge. */
  readonly #purged: number[] = [];
  #lastSequence = 0;

  /** Notes a write that is about to be sent and returns its sequence number. */
  send(key: number): number {
    this.#begin(key);
    this.#lastSequence += 1;
    this.#sent[key] = this.#lastSequence;
    return this.#lastSequence;
  }

  acknowledge(key: number, sequence: number): void {
    const settled = this.#settled[key] ?? 0;
    if (sequence > settled) this.#floor[key] = Math.max(this.#floor[key] ?? 0, settled + 1);
    this.#end(key);
  }

  /** A purge that is about to be sent: the sequence number of what it will take for sure, to be handed to `purged`. */
  sendPurge(key: number): number {
    const settled = this.#isSettled(key) ? (this.#sent[key] ?? 0) : (this.#settled[key] ?? 0);
    return settled;
  }

  purged(key: number, sequence: number): void {
    this.#purged[key] = Math.max(this.#purged[key] ?? 0, sequence);
  }

  /** For a read that is about to be sent; to be handed to `verdict` with its answer. */
  floorOf(key: number): ReadFloor {
    return { least: this.#floor[key] ?? 0, purged: this.#purged[key] ?? 0 };
  }

  /** `found`: sequence number of the value; undefined: no entry. Undefined if that may be. */
  verdict(key: number, found: number | undefined, floor: ReadFloor, mayMiss: boolean): string | undefined {
    if (found === undefined)
      return floor.least > 0 && !mayMiss ? `no entry, but write ${floor.least} or later` : undefined;
    if (found <= floor.purged) return `the value of write ${found}, which a purge had taken`;
    if (found < floor.least) return `the value of write ${found}, but write ${floor.least} or later was acknowledged`;
    const sent = this.#sent[key] ?? 0;
    return found > sent ? `the value of write ${found}, but only ${sent} were sent` : undefined;
  }

  #begin(key: number): void {
    if (this.#isSettled(key)) this.#settled[key] = this.#sent[key] ?? 0;
    this.#underWay[key] = (this.#underWay[key] ?? 0) + 1;
  }

  #end(key: number): void {
    this.#underWay[key] = (this.#underWay[key] ?? 0) - 1;
  }

  #isSettled(key: number): boolean {
    return (this.#underWay[key] ?? 0) === 0;
  }
}

export interface ReadFloor {
  readonly least: number;
  readonly purged: number;
}
