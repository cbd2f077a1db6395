// The frame around every view: who the cluster is, whether what is shown is fresh, where one can go.

import type { FunctionComponent } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { isReadOnly, me } from "./access.ts";
import { signOut, token } from "./api.ts";
import { duration } from "./format.ts";
import { link, linkProblem, staleMs, view } from "./live.ts";
import { notice } from "./parts/notice.ts";
import { current, linkTo, TITLES, VIEWS, type ViewName } from "./router.ts";
import { readRoutes } from "./routes.ts";
import { SignIn } from "./sign-in.tsx";
import { theme, toggleTheme } from "./theme.ts";
import { ActivityView } from "./views/activity.tsx";
import { CostView } from "./views/cost.tsx";
import { KeysView } from "./views/keys.tsx";
import { MaintenanceView } from "./views/maintenance.tsx";
import { Overview } from "./views/overview.tsx";
import { ShardsView } from "./views/shards.tsx";
import { SlotsView } from "./views/slots.tsx";
import { TrafficView } from "./views/traffic.tsx";

const CONTENT: Readonly<Record<ViewName, FunctionComponent>> = {
  overview: Overview,
  shards: ShardsView,
  slots: SlotsView,
  traffic: TrafficView,
  keys: KeysView,
  activity: ActivityView,
  cost: CostView,
  maintenance: MaintenanceView,
};

export function App() {
  return token.value === undefined ? <SignIn /> : <Console />;
}

function Console() {
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  const name = current.value;
  const Content = CONTENT[name];
  useEffect(() => {
    void readRoutes().catch(() => undefined);
  }, []);
  useEffect(() => {
    document.title = `${TITLES[name]} · Halo console`;
    // Whoever has followed a link is to go on reading there.
    if (!isFirst.current) {
      scrollTo(0, 0);
      main.current?.focus({ preventScroll: true });
    }
    isFirst.current = false;
  }, [name]);
  return (
    <div class="frame">
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to content
      </button>
      <Header />
      <nav aria-label="Views">
        <ul>
          {VIEWS.map((view) => (
            <li key={view}>
              <a href={linkTo(view)} aria-current={view === name ? "page" : undefined}>
                {TITLES[view]}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <main id="main" ref={main} tabIndex={-1} class={staleMs.value === undefined ? "" : "is-stale"}>
        <h1 class="unseen">{TITLES[name]}</h1>
        {isReadOnly.value && (
          <p class="read-only" data-testid="read-only">
            Read only: {me.value?.id} may {me.value?.scopes.join(", ")}. What takes more is disabled.
          </p>
        )}
        {view.value === undefined ? <FirstView /> : <Content />}
      </main>
      <p class={`notice ${notice.value?.kind ?? "none"}`} role="status">
        {notice.value?.text}
      </p>
    </div>
  );
}

function Header() {
  const { cluster = "", version = "", epoch } = view.value ?? {};
  return (
    <header class="top">
      <p class="brand">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <circle class="brand-ring" cx="16" cy="16" r="11" />
          <path class="brand-arc-1" d="M16 5a11 11 0 0 1 11 11" />
          <path class="brand-arc-2" d="M5 16A11 11 0 0 1 16 5" />
        </svg>
        Halo
      </p>
      <dl class="identity">
        <div>
          <dt>Cluster</dt>
          <dd>{cluster}</dd>
        </div>
        <div>
          <dt>Epoch</dt>
          <dd data-testid="epoch">{epoch}</dd>
        </div>
        <div class="wide-only">
          <dt>Version</dt>
          <dd>{version}</dd>
        </div>
      </dl>
      <Freshness />
      <div class="top-actions">
        <button type="button" class="plain" onClick={toggleTheme}>
          {theme.value === "dark" ? "Light" : "Dark"}
          <span class="unseen"> colours</span>
        </button>
        <button type="button" class="plain" onClick={() => signOut()}>
          Sign out
        </button>
      </div>
    </header>
  );
}

const LINK_WORDS = { connecting: "Connecting", live: "Live", lost: "Reconnecting", paused: "Paused" } as const;

function Freshness() {
  const age = staleMs.value;
  const isStale = age !== undefined;
  const state = isStale ? "bad" : link.value === "live" ? "ok" : "warn";
  const words = isStale ? "Stale" : LINK_WORDS[link.value];
  return (
    <div class={`freshness ${state}`} data-testid="freshness">
      <i class="dot" aria-hidden="true" />
      <span role="status">{words}</span>
      {isStale && <span class="age">{duration(age)} old</span>}
      {linkProblem.value !== undefined && <span class="unseen">{linkProblem.value}</span>}
    </div>
  );
}

function FirstView() {
  return (
    <p class="empty" role="status">
      {linkProblem.value ?? "Reading the cluster"}
    </p>
  );
}
