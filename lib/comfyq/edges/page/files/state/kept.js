// What the browser keeps for the page. It may refuse to, or be full; then the page goes on without.

/** @typedef {"sessionStorage" | "localStorage"} Where */

/**
 * @param {string} name
 * @param {Where} [where]
 * @returns {string} empty: nothing
 */
export function kept(name, where = "sessionStorage") {
  try {
    return window[where].getItem(name) ?? "";
  } catch {
    return "";
  }
}

/**
 * @param {string} name
 * @param {string} text empty: forget it
 * @param {Where} [where]
 */
export function keep(name, text, where = "sessionStorage") {
  try {
    if (text) window[where].setItem(name, text);
    else window[where].removeItem(name);
  } catch {
    // it lives as long as the page does
  }
}

/** Forget all that the tab keeps. */
export function forgetAll() {
  try {
    sessionStorage.clear();
  } catch {
    // nothing was kept
  }
}
