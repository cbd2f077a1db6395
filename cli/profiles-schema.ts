// What a file of profiles holds. Apart from profiles.ts, so that a command without one does not load the library for it.

import { z } from "zod";
import { TOKEN } from "./profiles.ts";

const profileSchema = z.object({
  url: z.string(),
  token: z.string().regex(TOKEN),
  namespace: z.string().optional(),
});
export const profilesSchema = z.object({
  version: z.literal(1),
  current: z.string().optional(),
  profiles: z.record(z.string(), profileSchema),
});

export type Profile = z.infer<typeof profileSchema>;
export type Profiles = z.infer<typeof profilesSchema>;
