// Which view is shown: the part of the address behind `#`, so that the server knows one page alone.

import { signal } from "../lib.js";

/** @typedef {import("../types").Route} Route */

let step = -1;

/** @type {import("../vendor/signals.js").Signal<Route>} */
export const route = signal(read());

mark();

addEventListener("hashchange", () => {
  mark();
  route.value = read();
});

/** Number this tab's views in their order, so that it is known whether one can go back. */
function mark() {
  if (typeof history.state === "number") step = history.state;
  else history.replaceState(++step, "");
}

/**
 * Go back to the view before, or to another where this one was the first.
 * @param {string} otherwise
 */
export function back(otherwise) {
  if (step > 0) history.back();
  else go(otherwise);
}

/** @returns {Route} */
function read() {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view = "", ...parts] = path.split("/").map(decoded);
  return { view: view || "create", parts, query: new URLSearchParams(query) };
}

/**
 * Return what a part of an address says; of one that somebody mistyped, the part itself.
 * @param {string} part
 */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** @param {string} to */
export function go(to) {
  location.hash = `#/${to}`;
}

/**
 * Change the query of the view that is shown, without a step to go back to.
 * @param {Record<string, string>} query
 */
export function refine(query) {
  const kept = new URLSearchParams(Object.entries(query).filter(([, value]) => value));
  const { view, parts } = route.value;
  const path = [view, ...parts].map(encodeURIComponent).join("/");
  replaceBy(`#/${path}${kept.size ? `?${kept}` : ""}`);
}

/**
 * Show what another address of the page says, in the place of this one.
 * @param {string} address
 */
export function replaceBy(address) {
  history.replaceState(step, "", address);
  route.value = read();
}
