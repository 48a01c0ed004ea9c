// What the page says by itself: problems as the API words them, empty places, short messages.

import { html, signal } from "../lib.js";
import { Failure } from "../state/request.js";
import { load, unloaded } from "../state/start.js";

const TOAST_MS = 5000;

const toasts = signal(/** @type {{ text: string, isBad: boolean }[]} */ ([]));

/**
 * Say something for some seconds.
 * @param {string} text
 * @param {boolean} [isBad]
 */
export function say(text, isBad = false) {
  const toast = { text, isBad };
  toasts.value = [...toasts.value.slice(-2), toast];
  setTimeout(() => {
    toasts.value = toasts.value.filter((each) => each !== toast);
  }, TOAST_MS);
}

/**
 * Do something, and say what was wrong if it fails.
 * @param {() => unknown} work
 */
export async function attempt(work) {
  try {
    await work();
  } catch (error) {
    const isKnown = error instanceof Failure;
    say(isKnown ? error.message : "That did not work. Load the page again if it goes on.", true);
    if (!isKnown) throw error;
  }
}

/** How many windows are open: what is said is said in them, since nothing below is seen or read. */
export const windows = signal(0);

export function Toasts() {
  return html`<div class="toasts" role="status">
    ${toasts.value.map((each) => html`<p class=${each.isBad ? "toast bad" : "toast"}>${each.text}</p>`)}
  </div>`;
}

/** @param {{ failure: Failure | null, children?: any }} props */
export function Trouble({ failure, children }) {
  if (!failure) return null;
  return html`<div class="trouble" role="alert">
    <p>${failure.message}</p>
    ${failure.status > 0 && html`<p class="quiet">${failure.status} · ${failure.code}</p>`}
    ${children}
  </div>`;
}

/** @param {{ title: string, children?: any }} props */
export function Empty({ title, children }) {
  return html`<div class="empty">
    <p class="empty-title">${title}</p>
    ${children}
  </div>`;
}

/**
 * In the place of what is loaded at the start.
 * @param {{ of: string }} props
 */
export function Starting({ of }) {
  const failure = unloaded.value;
  if (!failure) return html`<${Loading} of=${of} />`;
  return html`<${Trouble} failure=${failure}><button type="button" onClick=${load}>Load again</button><//>`;
}

/** @param {{ of: string }} props */
export const Loading = ({ of }) => html`<p class="loading" role="status">Loading ${of} …</p>`;
