// Who uses the page: the key that requests show, and what its holder may do.

import { batch, computed, signal } from "../lib.js";
import { forgetAll, keep, kept } from "./kept.js";

/** @typedef {import("../types").Quota} Quota */

// In sessionStorage: it outlives a reload, but neither the tab nor in other tabs and sites, and a
// machine that is shared keeps no key when the window is closed.
const KEPT = "comfyq.key";
const KEPT_REFRESH = "comfyq.refresh";

/** The API key or token of requests; empty: none. */
export const key = signal(kept(KEPT));

/** What brings another token in the place of the key when that has expired; empty: nothing does. */
export let refresh = kept(KEPT_REFRESH);

/** How the key is renewed, and what renews it given up, by whoever knows: `renew` tells whether it was. */
export const renewal = { renew: async () => false, revoke: () => {} };

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
 * Go on with a key. If that is somebody else's than the one before, the tab begins anew, so that
 * nothing is seen that was shown by that one; then this does not return.
 * @param {string} text
 * @param {{ isSameHolder?: boolean, refreshBy?: string }} [whose]
 */
export async function keepKey(text, { isSameHolder = false, refreshBy = "" } = {}) {
  if (shownBy && text && text !== shownBy && !isSameHolder) {
    forgetAll();
    keep(KEPT, text);
    keep(KEPT_REFRESH, refreshBy);
    history.replaceState(null, "", location.pathname);
    location.reload();
    await new Promise(() => {}); // whoever waits would show what was kept, by the old key
  }
  if (text) shownBy = text;
  keep(KEPT, text);
  keepRefresh(refreshBy);
  batch(() => {
    key.value = text;
    refusal.value = null;
  });
}

/** @param {string} text */
export function keepRefresh(text) {
  refresh = text;
  keep(KEPT_REFRESH, text);
}

/** Forget the key, and everything that was shown by it. */
export function signOut() {
  renewal.revoke();
  history.replaceState(null, "", location.pathname); // no view, which would keep things again
  forgetAll();
  location.reload();
}
