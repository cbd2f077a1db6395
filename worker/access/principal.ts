// Pure. Who a request comes from, once that is known, and what they may do: scopes say which kinds of acts, namespaces and
// prefixes say on which keys. How somebody is recognised is the authenticator's business; where rights are enforced is
// guarded-client.ts.

/**
 * `admin` is of the whole cluster: export reads everything, so it stands above namespaces and prefixes. So is `observe`, which
 * looks at the cluster, and changes nothing of it: names of keys are in its logs, values are not.
 */
export const SCOPES = ["read", "write", "purge", "observe", "admin"] as const;
export type Scope = (typeof SCOPES)[number];

/** Either lets in: whoever administers may look. */
export const OBSERVING = ["observe", "admin"] as const satisfies readonly Scope[];

export const PRINCIPAL_KINDS = ["root", "token", "signed_token", "signed_url"] as const;
export type PrincipalKind = (typeof PRINCIPAL_KINDS)[number];

export interface Principal {
  /** For the audit log and for logs: never a secret, nor a part of one. */
  readonly id: string;
  readonly kind: PrincipalKind;
  readonly scopes: ReadonlySet<Scope>;
  /** Whether the key, or the lock or limit of that name, is within the namespaces and prefixes. */
  allows(namespace: string, key: string): boolean;
  /** Whether every key that starts with `prefix` is; with an empty one, whether the namespace is theirs as a whole. */
  allowsPrefix(namespace: string, prefix: string): boolean;
}

export interface Rights {
  readonly id: string;
  readonly kind: PrincipalKind;
  readonly scopes: readonly Scope[];
  /** Absent: all; the default namespace is "". */
  readonly namespaces?: readonly string[] | undefined;
  /** Of keys, in each of the namespaces; absent: all. */
  readonly prefixes?: readonly string[] | undefined;
}

export function principalWith({ id, kind, scopes, namespaces, prefixes }: Rights): Principal {
  const isInNamespaces = (namespace: string) => namespaces === undefined || namespaces.includes(namespace);
  const isWithin = (namespace: string, text: string) =>
    isInNamespaces(namespace) && (prefixes === undefined || prefixes.some((prefix) => text.startsWith(prefix)));
  // What starts with a longer prefix starts with the shorter one: keys and prefixes of keys are checked alike.
  return { id, kind, scopes: new Set(scopes), allows: isWithin, allowsPrefix: isWithin };
}

/** Of exactly one key. */
export function principalOfKey(id: string, scope: Scope, namespace: string, key: string): Principal {
  const allows = (otherNamespace: string, other: string) => otherNamespace === namespace && other === key;
  return { id, kind: "signed_url", scopes: new Set([scope]), allows, allowsPrefix: () => false };
}

export const ROOT: Principal = {
  id: "root",
  kind: "root",
  scopes: new Set(SCOPES),
  allows: () => true,
  allowsPrefix: () => true,
};

/** What a route asks for: one scope, or any of several where only the body says which of them it takes. */
export type RouteScope = Scope | readonly Scope[];

export function hasScope({ scopes }: Principal, wanted: RouteScope): boolean {
  return typeof wanted === "string" ? scopes.has(wanted) : wanted.some((scope) => scopes.has(scope));
}
