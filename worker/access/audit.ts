// Pure. What the audit log is told: who did what to what, and how it ended. Every administrative act that changes something
// says so after it was done, or refused; how it is kept is audit-log.ts.

import type { AuditLog } from "./audit-log.ts";
import type { Principal } from "./principal.ts";

export const AUDIT_PAGE_MAX = 200;

/** Programs purge: what they do is kept apart. */
export const AUDIT_LOGS = ["admin", "purge"] as const;
export type AuditLogName = (typeof AUDIT_LOGS)[number];

/** JSON, small: what the act was asked to do. Never a value, nor a secret. */
export type AuditDetail = Readonly<Record<string, unknown>>;

/**
 * Resolves when the record is kept or given up; never rejects: an act that was done is not undone because nobody could write
 * it down. `action`: `topology.change` and the like. `outcome`: `ok`, or the slug of the problem.
 */
export type Audit = (
  principal: Principal,
  action: string,
  target: string,
  detail: AuditDetail,
  outcome: string,
) => Promise<void>;

/** What handlers know of access. */
export interface AccessDeps {
  readonly principal: Principal;
  readonly audit: Audit;
  readonly auditLog: Pick<AuditLog, "read">;
}
