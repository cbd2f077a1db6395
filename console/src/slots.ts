// Pure. The ring of slots as paths of an SVG: slot 0 at the top, clockwise. A shard's slots are one path, so that a picture of 1,024
// slots has as many elements as the cluster has shards.

export interface Run {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/** The stretches of neighbouring slots that one shard owns, for each shard. */
export function runsByOwner(owners: readonly number[]): ReadonlyMap<number, readonly Run[]> {
  const runs = new Map<number, Run[]>();
  let from = 0;
  for (let slot = 1; slot <= owners.length; slot++) {
    const owner = owners[slot - 1];
    if (owner === undefined || owners[slot] === owner) continue;
    const list = runs.get(owner) ?? [];
    list.push({ from, to: slot });
    runs.set(owner, list);
    from = slot;
  }
  return runs;
}

export interface Band {
  readonly inner: number;
  readonly outer: number;
}

/** Segments of a ring around (0, 0). */
export function ringPath(runs: readonly Run[], slots: number, band: Band): string {
  return runs.map((run) => segment(run, slots, band)).join("");
}

function segment({ from, to }: Run, slots: number, { inner, outer }: Band): string {
  // An arc cannot be a whole circle: it would end where it begins.
  if (to - from >= slots) {
    const half = slots / 2;
    return (
      segment({ from: 0, to: half }, slots, { inner, outer }) +
      segment({ from: half, to: slots }, slots, { inner, outer })
    );
  }
  const start = angle(from, slots);
  const end = angle(to, slots);
  const large = end - start > Math.PI ? 1 : 0;
  return (
    `M${at(outer, start)}A${outer} ${outer} 0 ${large} 1 ${at(outer, end)}` +
    `L${at(inner, end)}A${inner} ${inner} 0 ${large} 0 ${at(inner, start)}Z`
  );
}

function angle(slot: number, slots: number): number {
  return (slot / slots) * 2 * Math.PI;
}

function at(radius: number, angleFromTop: number): string {
  return `${short(radius * Math.sin(angleFromTop))} ${short(-radius * Math.cos(angleFromTop))}`;
}

/** Two digits behind the point, and never "-0". */
function short(value: number): number {
  return Math.round(value * 100) / 100 + 0;
}

export interface Share {
  readonly shard: number;
  readonly run: Run;
  /** Where its name goes. */
  readonly middle: readonly [x: number, y: number];
}

/** Each shard's slots as one stretch, in the order of the shards: what the ring itself does not show is how many they are. */
export function sharesOf(runs: ReadonlyMap<number, readonly Run[]>, slots: number, band: Band): readonly Share[] {
  const middle = (band.inner + band.outer) / 2;
  let from = 0;
  return [...runs]
    .sort(([one], [other]) => one - other)
    .map(([shard, list]) => {
      const run = { from, to: from + lengthOf(list) };
      const turned = angle((run.from + run.to) / 2, slots);
      from = run.to;
      return { shard, run, middle: [short(middle * Math.sin(turned)), short(-middle * Math.cos(turned))] };
    });
}

export function lengthOf(runs: readonly Run[]): number {
  return runs.reduce((sum, { from, to }) => sum + to - from, 0);
}

/** Slots as cells of a table `columns` wide, row by row. */
export function gridPath(runs: readonly Run[], columns: number): string {
  return runs
    .flatMap(({ from, to }) => Array.from({ length: to - from }, (_, at) => from + at))
    .map((slot) => `M${slot % columns} ${Math.floor(slot / columns)}h.88v.88h-.88z`)
    .join("");
}
