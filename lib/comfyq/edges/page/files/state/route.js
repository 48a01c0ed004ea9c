// Which view is shown: the part of the address behind `#`, so that the server knows one page alone.

import { signal } from "../lib.js";

/** @typedef {import("../types").Route} Route */

/** @type {import("../vendor/signals.js").Signal<Route>} */
export const route = signal(read());

addEventListener("hashchange", () => {
  route.value = read();
});

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
  history.replaceState(null, "", `#/${path}${kept.size ? `?${kept}` : ""}`);
  route.value = { view, parts, query: kept };
}
