// What a runtime process and its parent say to each other over IPC.

import type { RuntimePlan } from "./runtime-plan.ts";

export type ToRuntime =
  | {
      readonly kind: "start";
      readonly plan: RuntimePlan;
      /** Temporary directory of the whole cluster, for the child to remove if its parent cannot. */
      readonly runDir: string;
    }
  | { readonly kind: "stop" };

export type FromRuntime =
  | { readonly kind: "workerd"; readonly pid: number }
  | { readonly kind: "ready"; readonly url: string; readonly inspectorUrl?: string | undefined }
  | { readonly kind: "failed"; readonly reason: string };
