// What was put into forms, by workflow. It outlives a reload of the tab.

import { signal } from "../lib.js";
import { parsed, written } from "./json.js";
import { keep, kept } from "./kept.js";

/** @typedef {import("../types").Values} Values */
/** @typedef {import("../types").Workflow} Workflow */

const KEPT = "comfyq.drafts";

/** @type {Record<string, Values>} */
const first = parsed(kept(KEPT) || "{}");

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
  replace(workflow, { ...drafts.value[workflow], ...values });
}

/**
 * @param {string} workflow
 * @param {Values} values all that differ from its defaults
 */
export function replace(workflow, values) {
  drafts.value = { ...drafts.value, [workflow]: values };
  keep(KEPT, written(drafts.value));
}

/** @param {string} workflow */
export function reset(workflow) {
  replace(workflow, {});
}
