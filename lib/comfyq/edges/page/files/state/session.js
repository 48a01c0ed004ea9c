// Who uses the page: the key that requests show, and what its holder may do.

import { batch, computed, signal } from "../lib.js";
import { forgetAll, keep, kept } from "./kept.js";

/** @typedef {import("../types").Quota} Quota */

// In sessionStorage: it outlives a reload, but neither the tab nor in other tabs and sites, and a
// machine that is shared keeps no key when the window is closed.
const KEPT = "comfyq.key";

/** The API key or token of requests; empty: none. */
export const key = signal(kept(KEPT));

/** Whether API keys let in: not where the issuer's tokens alone do. */
export const takesKeys = !document.querySelector('meta[name="keys"][content="none"]');

/** Whether nobody is let in without a key or token: then nothing is asked without one. */
const asksWho = document.querySelector('meta[name="callers"]') !== null;

/** Why somebody has to sign in; null: nobody has. */
export const refusal = signal(/** @type {string | null} */ (asksWho && !key.peek() ? "" : null));

/** Whose jobs these are, with limits and scopes; null until the server has told. */
export const caller = signal(/** @type {Quota | null} */ (null));

export const scopes = computed(() => new Set(caller.value?.scopes ?? []));

/**
 * Whether something is offered that needs a scope; what is not known yet is.
 * @param {Quota["scopes"][number]} scope
 */
export const may = (scope) => caller.value === null || scopes.value.has(scope);

/** The key by which was asked for what is shown. */
let shownBy = key.peek();

/**
 * Go on with a key. The tab begins anew with another one, so that its holder sees nothing that was
 * shown to the one before, unless both are one person's; then this does not return.
 * @param {string} text
 * @param {{ isSameHolder?: boolean }} [whose]
 */
export async function keepKey(text, { isSameHolder = false } = {}) {
  if (shownBy && text && text !== shownBy && !isSameHolder) {
    forgetAll();
    keep(KEPT, text);
    history.replaceState(null, "", location.pathname);
    location.reload();
    await new Promise(() => {}); // whoever waits would show what was kept, by the old key
  }
  if (text) shownBy = text;
  batch(() => {
    key.value = text;
    refusal.value = null;
  });
  keep(KEPT, text);
}

/** Forget the key, and everything that was shown by it. */
export function signOut() {
  history.replaceState(null, "", location.pathname); // no view, which would keep things again
  forgetAll();
  location.reload();
}
