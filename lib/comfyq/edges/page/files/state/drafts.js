// What was put into forms, by workflow. It outlives a reload of the tab.

import { signal } from "../lib.js";

/** @typedef {import("../types").Values} Values */
/** @typedef {import("../types").Workflow} Workflow */

const KEPT = "comfyq.drafts";

/** @type {Record<string, Values>} */
const first = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");

const drafts = signal(first);

/**
 * The values of a workflow's form: its defaults, and what was put in.
 * @param {Workflow} workflow
 * @returns {Values}
 */
export function draftOf(workflow) {
  const defaults = Object.entries(workflow.fields).map(([name, field]) => [name, field.default]);
  return { ...Object.fromEntries(defaults), ...drafts.value[workflow.name] };
}

/**
 * @param {string} workflow
 * @param {Values} values those that change
 */
export function change(workflow, values) {
  drafts.value = { ...drafts.value, [workflow]: { ...drafts.value[workflow], ...values } };
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(drafts.value));
  } catch {
    // the storage is full; the values live as long as the page does
  }
}

/** @param {string} workflow */
export function reset(workflow) {
  const { [workflow]: _gone, ...kept } = drafts.value;
  drafts.value = kept;
  sessionStorage.setItem(KEPT, JSON.stringify(kept));
}
