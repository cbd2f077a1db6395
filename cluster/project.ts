// Where the project and its local state live on this machine. Everything that local clusters write, unless they are told
// another place, goes under `.halo/`, which git ignores.

import path from "node:path";
import { fileURLToPath } from "node:url";

export const projectRoot = fileURLToPath(new URL("..", import.meta.url));
export const stateDir = path.join(projectRoot, ".halo");
