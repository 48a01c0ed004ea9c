// The frame of every view: where one can go, and what concerns all of it.

import { html, useEffect, useRef } from "./lib.js";
import { Icon } from "./parts/icons.js";
import { Toasts, windows } from "./parts/notices.js";
import { news } from "./state/jobs.js";
import { picked } from "./state/picked.js";
import { delays, reachable } from "./state/request.js";
import { go, route } from "./state/route.js";
import { key, refusal, scopes, signOut } from "./state/session.js";
import { connected } from "./state/socket.js";
import { nextTheme, theme } from "./state/theme.js";
import { BatchView } from "./views/batch.js";
import { CompareView } from "./views/compare.js";
import { CreateView } from "./views/create.js";
import { HistoryView } from "./views/history.js";
import { JobView } from "./views/job.js";
import { KeysView } from "./views/keys.js";
import { QueueView } from "./views/queue.js";
import { SignInView } from "./views/sign-in.js";
import { SystemView } from "./views/system.js";

/** @type {Record<string, () => any>} */
const VIEWS = {
  create: CreateView,
  queue: QueueView,
  history: HistoryView,
  job: JobView,
  batch: BatchView,
  compare: CompareView,
  system: SystemView,
  keys: KeysView,
};

/** How many ids the addresses of views tell. */
const IDS = /** @type {Record<string, number>} */ ({ job: 1, batch: 1, compare: 2 });
const ID = /^[\w-]+$/; // what is none would lead to another place of the API

const PLACES = [
  ["create", "Create"],
  ["queue", "Queue"],
  ["history", "History"],
  ["system", "System"],
  ["keys", "Keys"],
];

export function Shell() {
  return refusal.value === null ? html`<${Frame} />` : html`<${SignInView} />`;
}

function Frame() {
  const { view, parts } = route.value;
  const shown = useRef(view);
  useEffect(() => {
    if (shown.current === view) return;
    shown.current = view;
    scrollTo(0, 0);
    document.getElementById("main")?.focus({ preventScroll: true }); // to read on from there
  }, [view]);
  const View = (isPlace(view, parts) && VIEWS[view]) || Nowhere;
  return html`
    <a class="skip" href="#main" onClick=${toMain}>Skip to the content</a>
    <${Navigation} view=${view} />
    <div class="content">
      <${Lost} />
      <main id="main" tabindex="-1"><${View} /></main>
      <${Picked} />
    </div>
    ${windows.value === 0 && html`<${Toasts} />`}
    <p class="sr" role="status">${news.value}</p>
  `;
}

/**
 * Whether an address can lead anywhere; whether there is what it names, the API knows.
 * @param {string} view
 * @param {string[]} parts
 */
function isPlace(view, parts) {
  const ids = IDS[view];
  if (ids !== undefined) return parts.length === ids && parts.every((part) => ID.test(part));
  return !parts.some((part) => part === "." || part === "..");
}

/** @param {Event} event */
function toMain(event) {
  event.preventDefault(); // the address is the view's
  document.getElementById("main")?.focus();
}

/** @param {{ view: string }} props */
function Navigation({ view }) {
  const places = PLACES.filter(([name]) => name !== "keys" || scopes.value.has("admin"));
  return html`<nav class="nav" aria-label="Main">
    <a class="brand" href="#/create"><span class="mark" aria-hidden="true"></span>comfyq</a>
    <ul>
      ${places.map(
        ([name = "", text]) => html`<li>
          <a href=${`#/${name}`} aria-current=${view === name ? "page" : undefined}><${Icon} name=${name} /><span>${text}</span></a>
        </li>`,
      )}
    </ul>
    <div class="nav-end">
      <button type="button" class="plain" title="Light, dark or as the system has it" onClick=${nextTheme}>
        <${Icon} name="theme" /><span>${theme.value}</span>
      </button>
      ${key.value && html`<button type="button" class="plain" onClick=${signOut}><${Icon} name="out" /><span>Sign out</span></button>`}
    </div>
  </nav>`;
}

function Lost() {
  const delay = delays.value.at(-1);
  const trouble = !reachable.value
    ? "The server does not answer. Trying again …"
    : delay && `The server cannot do it now. Trying again … (${delay.message})`;
  return html`<p class=${`lost ${trouble ? "shown" : ""}`} role="status">${trouble || (connected.value ? "" : "Connecting …")}</p>`;
}

function Picked() {
  const ids = picked.value;
  useEffect(() => {
    if (route.value.view === "compare") picked.value = [];
  }, [route.value.view]);
  if (ids.length === 0) return null;
  return html`<div class="picked" role="region" aria-label="Compare">
    <span>${ids.length === 1 ? "Pick another one to compare" : "Two are picked"}</span>
    <button type="button" class="primary" disabled=${ids.length < 2} onClick=${() => go(`compare/${ids.join("/")}`)}>
      <${Icon} name="compare" /> Compare
    </button>
    <button type="button" class="icon-button" aria-label="Pick none" onClick=${() => (picked.value = [])}><${Icon} name="close" /></button>
  </div>`;
}

function Nowhere() {
  return html`<div class="page narrow"><h1>There is no such page</h1><p><a href="#/create">Create</a> is a good place to begin.</p></div>`;
}
