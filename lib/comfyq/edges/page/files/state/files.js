// Files that were sent from this page, to be shown in forms: the API hands none out again.

import { signal } from "../lib.js";

/** How many are being sent: a form that went before them would lack them. */
export const sending = signal(0);

const files = new Map(/** @type {[string, { url: string, name: string, size: number }][]} */ ([]));

/**
 * @param {string} source what a request says where it takes the file
 * @param {Blob} file
 * @param {string} name
 */
export function keepFile(source, file, name) {
  if (!files.has(source)) files.set(source, { url: URL.createObjectURL(file), name, size: file.size });
}

/** @param {string} source */
export const fileOf = (source) => files.get(source) ?? null;
