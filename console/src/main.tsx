// The console's start.

import { render } from "preact";
import { startAccess } from "./access.ts";
import { App } from "./app.tsx";
import { startLive } from "./live.ts";
import { startRouter } from "./router.ts";
import { startTheme } from "./theme.ts";

startTheme();
startRouter();
startAccess();
startLive();
const root = document.getElementById("app");
if (root === null) throw new Error("the page has no place for the console");
root.replaceChildren();
render(<App />, root);
