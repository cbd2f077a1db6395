// Vitest calls this before the tests in workerd: the Worker cannot be loaded without the console's files.

export { buildConsole as setup } from "../../console/build.ts";
