// Starts the page.

import { effect, html, render } from "./lib.js";
import { Shell } from "./shell.js";
import { begin } from "./state/jobs.js";
import { say } from "./parts/notices.js";
import { comeBackFrom, isBack, issuer, trouble } from "./state/issuer.js";
import { beginRenewal } from "./state/renewal.js";
import { caller, refusal } from "./state/session.js";
import { load } from "./state/start.js";

const root = /** @type {HTMLElement} */ (document.getElementById("page"));
if (issuer && isBack()) {
  render(html`<p class="loading" role="status">Signing in …</p>`, root);
  await comeBackFrom(issuer);
}
if (issuer) beginRenewal();
render(html`<${Shell} />`, root);
begin();

// At the start, and again for each key that is tried.
effect(() => {
  if (refusal.value === null) void load();
});

// Who is let in all the same sees no form to sign in, which would tell it.
effect(() => {
  if (!caller.value || !trouble.value) return;
  say(`You are signed in as before. ${trouble.value}`, true);
  trouble.value = "";
});

// A file that is dropped beside its place would be shown by the browser instead of the page.
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => keepOff(/** @type {DragEvent} */ (event)));

/** @param {DragEvent} event */
function keepOff(event) {
  if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "none";
}
