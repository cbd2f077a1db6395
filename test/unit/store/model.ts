// The state machine written as plainly as possible: maps and lists, no layers, nothing ever written down or dropped. Purges
// are a list that every read goes through; a transaction copies everything and puts it back if it fails.

import type {
  Batch,
  Conditions,
  IncrementMutation,
  KeyMutation,
  Lifetime,
  LimitMutation,
  Mutation,
  Outcome,
  PurgeMutation,
  ReturnedValue,
  TransactionOperation,
  VersionMatch,
} from "../../../durable/store/command.ts";
import type { Entry, EntryExtras, StoreState, Usage } from "../../../durable/store/entry.ts";
import { isSystemKey, parsePartKey, partKey, userKey } from "../../../durable/store/keyspace.ts";
import { IDEMPOTENCY_RETENTION_MS, VALUE_BYTES_MAX } from "../../../durable/store/limits.ts";
import { accountedBytes } from "../../../durable/store/sizes.ts";

interface Remembered {
  readonly key: string;
  readonly id: string;
  readonly fingerprint: string;
  readonly outcome: Outcome;
  readonly untilMs: number;
}

interface Purge extends Pick<PurgeMutation, "scope" | "isSoft"> {
  readonly revision: number;
  readonly atMs: number;
}

interface Lease {
  readonly token: number;
  readonly untilMs: number;
  readonly holder: string | undefined;
}

interface Counts {
  readonly start: number;
  readonly used: number;
  readonly before: number;
}

export class StoreModel {
  clockMs = 0;
  revision = 0;
  /** Dead ones too. */
  rows = new Map<string, Entry>();
  leases = new Map<string, Lease>();
  purges: Purge[] = [];
  readonly remembered: Remembered[] = [];

  apply(batch: Batch): Outcome[] {
    this.clockMs = Math.max(this.clockMs, batch.stampMs);
    return batch.mutations.map((mutation) => this.#applyOnce(mutation));
  }

  read(key: string, nowMs: number): Entry | undefined {
    const row = this.rows.get(key);
    if (row === undefined) return undefined;
    if (row.expiresMs !== undefined && Math.max(nowMs, this.clockMs) >= row.expiresMs) return undefined;
    const later = this.purges.filter(({ revision, scope }) => revision > row.version && concerns(scope, row));
    if (later.some(({ isSoft }) => !isSoft)) return undefined;
    const newest = later.at(-1);
    if (newest === undefined || row.extras?.purgedMs !== undefined) return row;
    const staleMs = Math.min(newest.atMs, row.extras?.staleMs ?? newest.atMs);
    return { ...row, extras: { ...row.extras, staleMs, purgedMs: newest.atMs } };
  }

  get state(): StoreState {
    const rows = [...this.rows.values()];
    const usage = new Map<string, Usage>();
    for (const row of rows) {
      const owner = parsePartKey(row.key)?.key ?? row.key;
      if (isSystemKey(owner)) continue;
      const { namespace } = userKey(owner);
      const { keys, bytes } = usage.get(namespace) ?? { keys: 0, bytes: 0 };
      usage.set(namespace, { namespace, keys: keys + Number(owner === row.key), bytes: bytes + accountedBytes(row) });
    }
    return {
      revision: this.revision,
      clockMs: this.clockMs,
      keys: rows.filter(({ key }) => !isSystemKey(key)).length,
      bytes: rows.reduce((sum, row) => sum + accountedBytes(row), 0),
      expiring: rows.filter(({ expiresMs }) => expiresMs !== undefined).length,
      idempotencySequence: this.remembered.length,
      usage: [...usage.values()].sort((a, b) => (a.namespace < b.namespace ? -1 : 1)),
    };
  }

  #applyOnce(mutation: Mutation): Outcome {
    const { idempotency } = mutation;
    if (idempotency === undefined) return this.#change(mutation);
    const { key } = mutation;
    const { id, fingerprint } = idempotency;
    const known = this.remembered.findLast((one) => one.key === key && one.id === id && one.untilMs > this.clockMs);
    if (known !== undefined) {
      return known.fingerprint === fingerprint ? known.outcome : { kind: "idempotency_conflict" };
    }
    const outcome = this.#change(mutation);
    this.remembered.push({ key, id, fingerprint, outcome, untilMs: this.clockMs + IDEMPOTENCY_RETENTION_MS });
    return outcome;
  }

  #change(mutation: Mutation | TransactionOperation): Outcome {
    switch (mutation.kind) {
      case "purge":
        this.revision += 1;
        this.purges.push({
          scope: mutation.scope,
          isSoft: mutation.isSoft,
          revision: this.revision,
          atMs: this.clockMs,
        });
        return { kind: "purged", revision: this.revision };
      case "forget_purges":
        return this.#forget(mutation.revision);
      case "reclaim": {
        const gone = mutation.rows.filter(({ key, version }) => {
          const row = this.rows.get(key);
          if (row?.version !== version) return false;
          if (mutation.softens === true) {
            const current = this.read(key, 0);
            return current !== undefined && current !== row && this.rows.set(key, current);
          }
          const part = parsePartKey(key);
          if (part !== undefined && this.read(part.key, 0)?.extras?.parts?.upload === part.upload) return false;
          const mayGo = part !== undefined || mutation.evicts === true || this.read(key, 0) === undefined;
          return mayGo && this.rows.delete(key);
        });
        return { kind: "reclaimed", rows: gone.length };
      }
      case "get": {
        const found = this.read(mutation.key, 0);
        if (found?.extras?.parts !== undefined) return { kind: "too_large", bytes: found.extras.parts.bytes };
        return { kind: "value", found: found && returned(found) };
      }
      case "stage": {
        const key = partKey(mutation.key, mutation.upload, mutation.part);
        if (!this.rows.has(key)) this.#write({ ...mutation, key }, mutation.value, "", {});
        return { kind: "staged" };
      }
      case "begin_fill":
        return this.#beginFill(mutation);
      case "release_fill": {
        const lease = this.leases.get(mutation.key);
        if (lease?.token !== mutation.token) return { kind: "fill_released", existed: false };
        this.leases.delete(mutation.key);
        return { kind: "fill_released", existed: lease.untilMs > this.clockMs };
      }
      case "limit":
        return this.#limit(mutation);
      case "transaction":
        return this.#transaction(mutation);
      case "found_slots":
      case "move":
      case "import":
        // A store that never gives a slot away: moves-model.ts compares with two that do.
        return { kind: "slots_founded" };
      default:
        return this.#conditional(mutation);
    }
  }

  #conditional(mutation: Extract<KeyMutation, { kind: "put" | "delete" | "touch" | "increment" | "append" }>): Outcome {
    const { key } = mutation;
    const current = this.read(key, 0);
    if (!holds(mutation, current)) {
      return { kind: "precondition_failed", version: current?.version, sourceVersion: current?.extras?.sourceVersion };
    }
    const parts = current?.extras?.parts;
    switch (mutation.kind) {
      case "put": {
        const { fillToken, tags, metadata, sourceVersion, contentType, value } = mutation;
        if (fillToken !== undefined && !this.#isFillGood(key, fillToken, tags)) {
          return { kind: "fill_refused", version: current?.version };
        }
        if (mutation.parts !== undefined) {
          const { count, upload, bytes } = mutation.parts;
          const staged = Array.from({ length: count }, (_, part) => this.rows.get(partKey(key, upload, part)));
          const sum = staged.reduce((total, row) => total + (row?.value.byteLength ?? 0), 0);
          if (staged.includes(undefined) || sum !== bytes) return { kind: "incomplete_upload" };
        }
        if (mutation.returnPrevious === true && parts !== undefined) return { kind: "too_large", bytes: parts.bytes };
        const previous = mutation.returnPrevious === true && current !== undefined ? returned(current) : undefined;
        this.leases.delete(key);
        const extras = {
          ...timesOf(mutation, this.clockMs).extras,
          metadata,
          tags,
          sourceVersion,
          parts: mutation.parts,
        };
        const { version, expiresMs } = this.#write(mutation, value, contentType, {
          lifetime: mutation,
          current,
          extras,
        });
        return { kind: "stored", version, created: current === undefined, expiresMs, previous };
      }
      case "delete": {
        if (mutation.returnPrevious === true && parts !== undefined) return { kind: "too_large", bytes: parts.bytes };
        const previous = mutation.returnPrevious === true && current !== undefined ? returned(current) : undefined;
        this.leases.delete(key);
        this.rows.delete(key);
        if (current !== undefined) this.revision += 1;
        return { kind: "deleted", existed: current !== undefined, previous };
      }
      case "touch": {
        if (mutation.softens === true) this.leases.delete(key);
        if (current === undefined) return { kind: "not_found" };
        const { version } = current;
        if (mutation.softens === true) {
          const [staleMs, purgedMs] = [current.extras?.staleMs ?? this.clockMs, current.extras?.purgedMs];
          const extras = { ...current.extras, staleMs: Math.min(staleMs, this.clockMs), purgedMs: this.clockMs };
          if (purgedMs === undefined) this.rows.set(key, { ...current, extras });
          return { kind: "touched", version, expiresMs: current.expiresMs };
        }
        const slidingMs = current.extras?.slidingMs;
        if (mutation.isAccess === true) {
          // It has to live `slidingMs` from now; a tenth more is written, so that one write serves many accesses.
          const isServed = slidingMs === undefined || this.clockMs < (current.expiresMs ?? 0) - slidingMs;
          if (isServed) return { kind: "touched", version, expiresMs: current.expiresMs };
        }
        const times = timesOf(mutation.isAccess === true ? { slidingMs } : mutation, this.clockMs);
        const row = this.rows.get(key) as Entry;
        const { metadata, tags, sourceVersion } = row.extras ?? {};
        const purgedMs = current.extras?.purgedMs;
        const staleMs = purgedMs === undefined ? undefined : Math.min(times.extras?.staleMs ?? purgedMs, purgedMs);
        const stays = purgedMs === undefined ? {} : { staleMs, purgedMs };
        const extras = { ...times.extras, ...stays, metadata, tags, sourceVersion, parts };
        this.rows.set(key, { ...row, expiresMs: times.expiresMs, extras: plain(extras) });
        return { kind: "touched", version, expiresMs: times.expiresMs };
      }
      case "increment": {
        const text = current === undefined ? (mutation.initial ?? "0") : textOf(current.value);
        if (parts !== undefined || !isNumber(text, mutation.isFloat === true)) {
          return { kind: "not_a_number", version: current?.version ?? 0 };
        }
        const sum = sumOf(text, mutation);
        if (sum === undefined) return { kind: "out_of_range", value: text };
        const { version, created, expiresMs } = this.#rewrite(mutation, current, bytesOf(sum), "text/plain");
        return { kind: "number", value: sum, version, created, expiresMs };
      }
      case "append": {
        const bytes = (parts?.bytes ?? current?.value.byteLength ?? 0) + mutation.value.byteLength;
        if (parts !== undefined || bytes > VALUE_BYTES_MAX) return { kind: "too_large", bytes };
        const whole = Uint8Array.from([...(current?.value ?? []), ...mutation.value]);
        return { kind: "stored", ...this.#rewrite(mutation, current, whole, mutation.contentType) };
      }
    }
  }

  #rewrite(mutation: KeyMutation & Lifetime, current: Entry | undefined, value: Uint8Array, contentType: string) {
    const { sourceVersion } = mutation;
    this.leases.delete(mutation.key);
    const times = timesOf(mutation, this.clockMs);
    const kept = current === undefined ? times.extras : current.extras;
    const row = this.#write(mutation, value, current?.contentType ?? contentType, {
      lifetime: mutation,
      current,
      extras: { ...kept, sourceVersion: sourceVersion ?? kept?.sourceVersion },
      expiresMs: current === undefined ? times.expiresMs : current.expiresMs,
    });
    return { version: row.version, created: current === undefined, expiresMs: row.expiresMs };
  }

  #write(
    { slot, key }: { readonly slot: number; readonly key: string },
    value: Uint8Array,
    contentType: string,
    how: { lifetime?: Lifetime; current?: Entry | undefined; extras?: EntryExtras; expiresMs?: number | undefined },
  ): Entry {
    this.revision += 1;
    const expiresMs = "expiresMs" in how ? how.expiresMs : timesOf(how.lifetime ?? {}, this.clockMs).expiresMs;
    const row: Entry = {
      slot,
      key,
      version: this.revision,
      value,
      contentType,
      createdMs: how.current?.createdMs ?? this.clockMs,
      modifiedMs: this.clockMs,
      expiresMs,
      extras: plain(how.extras ?? {}),
    };
    this.rows.set(key, row);
    return row;
  }

  #isFillGood(key: string, token: number, tags: readonly string[] | undefined): boolean {
    const lease = this.leases.get(key);
    return lease?.token === token && this.clockMs < lease.untilMs && !this.#isPurged(key, tags, token);
  }

  #isPurged(key: string, tags: readonly string[] | undefined, since: number): boolean {
    return this.purges.some(({ scope, revision }) => revision > since && concerns(scope, { key, extras: { tags } }));
  }

  #beginFill({ key, leaseMs, isEarly, holder }: Extract<KeyMutation, { kind: "begin_fill" }>): Outcome {
    const current = this.read(key, 0);
    const isStale = (current?.extras?.staleMs ?? Number.POSITIVE_INFINITY) <= this.clockMs;
    if (current !== undefined && !isStale && isEarly !== true)
      return { kind: "fill_unneeded", version: current.version };
    const lease = this.leases.get(key);
    if (lease !== undefined && this.#isFillGood(key, lease.token, [])) {
      const { token, untilMs } = lease;
      const isSame = holder !== undefined && holder === lease.holder;
      return isSame ? { kind: "fill_granted", token, untilMs } : { kind: "fill_held", untilMs };
    }
    this.revision += 1;
    const granted = { token: this.revision, untilMs: this.clockMs + leaseMs };
    this.leases.set(key, { ...granted, holder });
    return { kind: "fill_granted", ...granted };
  }

  #limit(mutation: LimitMutation): Outcome {
    const { key, limit, windowMs, cost, algorithm } = mutation;
    const current = this.read(key, 0);
    const start = Math.floor(this.clockMs / windowMs) * windowMs;
    const known = current === undefined ? undefined : countsOf(current.value);
    const counts: Counts =
      known?.start === start ? known : { start, used: 0, before: known?.start === start - windowMs ? known.used : 0 };
    const usedAt = ({ used, before }: Counts, atMs: number) => {
      const share = algorithm === "sliding_window" ? 1 - (atMs % windowMs) / windowMs : 0;
      if (atMs < start + windowMs) return used + before * share;
      return atMs < start + 2 * windowMs ? used * share : 0;
    };
    const usedNow = usedAt(counts, this.clockMs);
    const isAllowed = usedNow + cost <= limit;
    const after = isAllowed ? { ...counts, used: counts.used + cost } : counts;
    const remaining = Math.max(0, Math.floor(limit - usedNow - (isAllowed ? cost : 0)));
    let resetMs = this.clockMs;
    const waitsFor = isAllowed || cost > limit ? [0, 0] : [cost, limit];
    while (usedAt(after, resetMs) + (waitsFor[0] ?? 0) > (waitsFor[1] ?? 0)) resetMs += 1;
    if (isAllowed) {
      const expiresMs = start + 2 * windowMs;
      const value = new Uint8Array(new Float64Array([after.start, after.used, after.before]).buffer);
      for (let at = 0; at < 24; at += 8) value.subarray(at, at + 8).reverse();
      this.#write(mutation, value, "", { current, expiresMs });
    }
    return { kind: "limited", isAllowed, remaining, resetMs };
  }

  #transaction(mutation: Extract<KeyMutation, { kind: "transaction" }>): Outcome {
    const { compare, onSuccess, onFailure } = mutation;
    const succeeded = compare.every((one) => holds(one, this.read(one.key, 0)));
    const [rows, leases] = [new Map(this.rows), new Map(this.leases)];
    const results: Outcome[] = [];
    for (const operation of succeeded ? onSuccess : onFailure) {
      const outcome = this.#change(operation);
      const isDone = ["stored", "deleted", "touched", "number", "value"].includes(outcome.kind);
      if (!isDone) {
        this.rows = rows;
        this.leases = leases;
        return { kind: "transaction_failed", at: results.length, outcome };
      }
      results.push(outcome);
    }
    return { kind: "transaction", succeeded, results };
  }

  /** Purges of a scope go together, once the newest of them may go; those that a fill in force must know stay. */
  #forget(revision: number): Outcome {
    const inForce = [...this.leases.values()].filter(({ untilMs }) => untilMs > this.clockMs);
    const upTo = Math.min(revision, ...inForce.map(({ token }) => token));
    const nameOf = (purge: Purge) => JSON.stringify(Object.entries(purge.scope).sort());
    const kept = new Set(this.purges.filter((purge) => purge.revision > upTo).map(nameOf));
    this.purges = this.purges.filter((purge) => kept.has(nameOf(purge)));
    return { kind: "purged", revision };
  }
}

function concerns(scope: PurgeMutation["scope"], row: Pick<Entry, "key" | "extras">): boolean {
  if (isSystemKey(row.key)) return false;
  const { namespace, key } = userKey(row.key);
  if (namespace !== scope.namespace) return false;
  return scope.kind === "tag" ? row.extras?.tags?.includes(scope.tag) === true : key.startsWith(scope.prefix);
}

function holds({ ifMatch, ifNoneMatch, ifValue, sourceVersion }: Conditions, current: Entry | undefined): boolean {
  const has = (match: VersionMatch) => current !== undefined && (match === "any" || match.includes(current.version));
  if (ifMatch !== undefined && !has(ifMatch)) return false;
  if (ifNoneMatch !== undefined && has(ifNoneMatch)) return false;
  const { parts, sourceVersion: known } = current?.extras ?? {};
  const isOther = current === undefined || parts !== undefined || current.value.join() !== ifValue?.join();
  if (ifValue !== undefined && isOther) return false;
  return sourceVersion === undefined || known === undefined || sourceVersion > known;
}

function timesOf(lifetime: Lifetime, nowMs: number): { expiresMs?: number | undefined; extras?: EntryExtras } {
  const { ttlMs, expiresAtMs, staleWhileRevalidateMs, staleIfErrorMs, slidingMs } = lifetime;
  if (slidingMs !== undefined)
    return { expiresMs: nowMs + slidingMs + Math.ceil(slidingMs / 10), extras: { slidingMs } };
  const freshMs = ttlMs !== undefined ? nowMs + ttlMs : expiresAtMs;
  const longestMs = Math.max(staleWhileRevalidateMs ?? 0, staleIfErrorMs ?? 0);
  if (freshMs === undefined || longestMs === 0) return { expiresMs: freshMs };
  return { expiresMs: freshMs + longestMs, extras: { staleMs: freshMs, staleWhileRevalidateMs, staleIfErrorMs } };
}

function plain(extras: EntryExtras): EntryExtras | undefined {
  return Object.values(extras).some((field) => field !== undefined) ? extras : undefined;
}

function returned({ version, value, contentType }: Entry): ReturnedValue {
  return { version, value, contentType };
}

function isNumber(text: string, isFloat: boolean): boolean {
  if (isFloat) return /^-?[0-9]/.test(text) && !/^-?0[0-9]/.test(text) && Number.isFinite(Number(text));
  return /^-?[0-9]+$/.test(text) && !/^-?0[0-9]/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text);
}

function sumOf(before: string, { by, min, max, clamps, isFloat }: IncrementMutation): string | undefined {
  if (isFloat === true) {
    const [low, high] = [Number(min ?? -Number.MAX_VALUE), Number(max ?? Number.MAX_VALUE)];
    const sum = Number(before) + Number(by);
    if (clamps === true) return String(Math.min(Math.max(sum, low), high));
    return sum < low || sum > high ? undefined : String(sum);
  }
  const [low, high] = [BigInt(min ?? -(2n ** 63n)), BigInt(max ?? 2n ** 63n - 1n)];
  const sum = BigInt(before) + BigInt(by);
  if (sum >= low && sum <= high) return String(sum);
  return clamps === true ? String(sum < low ? low : high) : undefined;
}

function countsOf(value: Uint8Array): Counts {
  const view = new DataView(value.buffer, value.byteOffset);
  return { start: view.getFloat64(0), used: view.getFloat64(8), before: view.getFloat64(16) };
}

function textOf(value: Uint8Array): string {
  return String.fromCharCode(...value);
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
