// The audit log as the API shows it.

import * as z from "zod";
import { AUDIT_LOGS, AUDIT_PAGE_MAX } from "../access/audit.ts";
import { auditEntrySchema } from "../access/audit-log.ts";

export const auditQuerySchema = z.strictObject({
  log: z.enum(AUDIT_LOGS, `expected ${AUDIT_LOGS.join(" or ")}`).optional(),
  limit: z
    .string()
    .regex(/^[1-9][0-9]{0,2}$/, `expected 1 to ${AUDIT_PAGE_MAX}`)
    .refine((text) => Number(text) <= AUDIT_PAGE_MAX, `expected 1 to ${AUDIT_PAGE_MAX}`)
    .optional(),
  cursor: z
    .string()
    .regex(/^[1-9][0-9]{0,14}$/, "expected the cursor of the page before")
    .optional(),
});
export const auditReplySchema = z.object({
  entries: z.array(auditEntrySchema()),
  /** Records that were lost between their number and their row. */
  missing: z.array(z.int()),
  cursor: z.string().optional(),
});
