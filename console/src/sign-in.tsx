// Signing in: a token is taken if the cluster shows itself for it. It is kept until the tab is closed.

import { useRef } from "preact/hooks";
import { askWhoIs, me, type WhoAmI } from "./access.ts";
import { ApiError, signedOutBecause, signIn } from "./api.ts";
import { Problem } from "./parts/dialog.tsx";
import { useAction } from "./parts/hooks.ts";

export function SignIn() {
  const input = useRef<HTMLInputElement>(null);
  const action = useAction();
  const submit = (event: Event) => {
    event.preventDefault();
    const given = input.current?.value.trim() ?? "";
    action.run(async () => {
      me.value = await check(given);
      signIn(given);
    });
  };
  return (
    <main class="sign-in">
      <form class="panel" onSubmit={submit}>
        <h1>
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <circle class="brand-ring" cx="16" cy="16" r="11" />
            <path class="brand-arc-1" d="M16 5a11 11 0 0 1 11 11" />
            <path class="brand-arc-2" d="M5 16A11 11 0 0 1 16 5" />
          </svg>
          Halo console
        </h1>
        {signedOutBecause.value !== undefined && <p class="note">{signedOutBecause.value}</p>}
        <label for="token">Token</label>
        <input
          ref={input}
          id="token"
          type="password"
          autocomplete="off"
          spellcheck={false}
          required
          aria-describedby="token-note"
        />
        <p class="note" id="token-note">
          One with the scope admin, or with observe to look only. It is kept in this tab until the tab is closed.
        </p>
        <Problem text={action.problem} />
        <button type="submit" class="primary" disabled={action.isBusy}>
          {action.isBusy ? "Signing in" : "Sign in"}
        </button>
      </form>
    </main>
  );
}

async function check(token: string): Promise<WhoAmI> {
  // What no header can hold is no token, and `fetch` would say so in other words.
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Error("A token has no spaces and nothing but ASCII characters.");
  try {
    return await askWhoIs(token);
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) throw new Error("The token is not one of this cluster's.");
    throw error;
  }
}
