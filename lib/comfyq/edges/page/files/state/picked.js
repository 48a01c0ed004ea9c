// The jobs that were picked to be compared: the last two.

import { signal } from "../lib.js";

const MOST = 2;

export const picked = signal(/** @type {string[]} */ ([]));

/** @param {string} id picked, or not any more */
export function pick(id) {
  const others = picked.value.filter((each) => each !== id);
  picked.value = others.length < picked.value.length ? others : [...others, id].slice(-MOST);
}
