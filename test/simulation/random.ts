// Pure. The only source of randomness of a simulation: sfc32, small, fast and good enough for tests. Streams are forked by
// name, so that drawing one number more in one part of the simulator does not change what all other parts draw.

/** FNV-1a: spreads names and seeds over 32 bits. */
function hashText(text: string, from: number): number {
  let hash = from;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 16_777_619);
  return hash >>> 0;
}

export class SeededRandom {
  readonly #name: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number | string, stream = "") {
    this.#name = `${seed}/${stream}`;
    this.#a = hashText(this.#name, 2_166_136_261);
    this.#b = hashText(this.#name, 0x9e3779b9);
    this.#c = hashText(this.#name, 0x85ebca6b);
    for (let round = 0; round < 12; round++) this.next();
  }

  fork(stream: string): SeededRandom {
    return new SeededRandom(this.#name, stream);
  }

  /** Uniform in [0, 1). */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return (sum >>> 0) / 4_294_967_296;
  }

  chance(probability: number): boolean {
    return probability > 0 && this.next() < probability;
  }

  between(from: number, to: number): number {
    return from + this.next() * (to - from);
  }

  /** Whole number in [0, below). */
  below(below: number): number {
    return Math.floor(this.next() * below);
  }

  /** Exponential: what arrives independently, with this mean distance. */
  exponential(mean: number): number {
    return -Math.log(1 - this.next()) * mean;
  }

  /** Between the two on a logarithmic scale: small and large values are drawn alike. */
  logarithmic(from: number, to: number): number {
    return from * (to / from) ** this.next();
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  }

  shuffled<T>(items: readonly T[]): T[] {
    return items
      .map((item) => ({ item, rank: this.next() }))
      .sort((left, right) => left.rank - right.rank)
      .map(({ item }) => item);
  }
}
