// Starts the page.

import { effect, html, render } from "./lib.js";
import { Shell } from "./shell.js";
import { begin, recent, refreshRecent } from "./state/jobs.js";
import { Failure, askPatiently } from "./state/request.js";
import { caller, refusal } from "./state/session.js";
import { loadWorkflows } from "./state/workflows.js";

const root = /** @type {HTMLElement} */ (document.getElementById("page"));
render(html`<${Shell} />`, root);
begin();

// At the start, and again for each key that is tried.
effect(() => {
  if (refusal.value === null) void load();
});

async function load() {
  try {
    caller.value = await askPatiently("GET", "quota");
    await Promise.all([loadWorkflows(), recent.peek() === null && refreshRecent()]);
  } catch (error) {
    if (!(error instanceof Failure)) throw error; // a view shows it, or the sign-in does
  }
}
