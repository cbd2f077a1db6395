// Pure. Whether replicas of one shard hold the same, by what each says of its state at some indexes of the log.

interface State {
  readonly index: number;
  readonly hash: number;
  readonly way: number;
}

export interface Known<S extends State = State> {
  readonly name: string;
  readonly states: readonly S[];
}

export interface Agreement<S extends State = State> {
  /** The newest index that most of them know. */
  readonly index: number;
  /** What most of them hold there; of two equal parties that of the first. */
  readonly common: S;
  /** By name. */
  readonly agreeing: readonly string[];
  readonly differing: readonly string[];
  /** Those that say nothing of that index. */
  readonly silent: readonly string[];
}

/** Undefined: no two of them can be compared. */
export function agreementOf<S extends State>(replicas: readonly Known<S>[]): Agreement<S> | undefined {
  const met = new Map<string, { readonly state: S; readonly names: string[] }[]>();
  for (const { name, states } of replicas) {
    for (const state of states) {
      const place = `${state.way} ${state.index}`;
      const parties = met.get(place) ?? [];
      met.set(place, parties);
      const party = parties.find(({ state: other }) => other.hash === state.hash);
      if (party === undefined) parties.push({ state, names: [name] });
      else party.names.push(name);
    }
  }
  const count = (parties: readonly { readonly names: readonly string[] }[]): number =>
    parties.reduce((sum, { names }) => sum + names.length, 0);
  const places = [...met.values()].filter((parties) => count(parties) > 1);
  const [parties] = places.toSorted(
    (one, other) => count(other) - count(one) || (other[0]?.state.index ?? 0) - (one[0]?.state.index ?? 0),
  );
  const [largest, ...rest] = parties?.toSorted((one, other) => other.names.length - one.names.length) ?? [];
  if (largest === undefined) return undefined;
  const differing = rest.flatMap(({ names }) => names);
  const heard = new Set([...largest.names, ...differing]);
  return {
    index: largest.state.index,
    common: largest.state,
    agreeing: largest.names,
    differing,
    silent: replicas.flatMap(({ name }) => (heard.has(name) ? [] : [name])),
  };
}
