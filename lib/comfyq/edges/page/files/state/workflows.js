// The workflows that the server has, and what their forms are made of.

import { signal } from "../lib.js";
import { written } from "./json.js";
import { askPatiently, get } from "./request.js";

/** @typedef {import("../types").Workflow} Workflow */
/** @typedef {import("../types").WorkflowSummary} WorkflowSummary */
/** @typedef {import("../types").Field} Field */
/** @typedef {import("../types").Value} Value */

const FILES = new Set(["image", "mask", "video", "audio", "model_3d"]);

/** All of them; null until they are known. */
export const workflows = signal(/** @type {WorkflowSummary[] | null} */ (null));

const known = new Map(/** @type {[string, Promise<Workflow>][]} */ ([]));

/** Rises when workflows have changed, and with them what their forms are made of. */
export const version = signal(0);

export async function loadWorkflows() {
  take(await askPatiently("GET", "workflows"));
}

/** Look whether workflows have changed, as when a worker comes that knows other models. */
export async function lookForWorkflows() {
  take(await get("workflows"));
}

/** @param {{ workflows: WorkflowSummary[] }} listed */
function take({ workflows: listed }) {
  if (written(listed) === written(workflows.peek())) return;
  known.clear();
  workflows.value = listed;
  version.value++;
}

/**
 * A workflow with its fields. Throws a Failure if there is none of that name.
 * @param {string} name
 * @returns {Promise<Workflow>}
 */
export function workflowOf(name) {
  let loading = known.get(name);
  if (!loading) {
    loading = load(name);
    known.set(name, loading);
    loading.catch(() => known.delete(name));
  }
  return loading;
}

/** @param {string} name */
async function load(name) {
  const path = `workflows/${encodeURIComponent(name)}`;
  const [{ parameters, ...view }, { choices }] = await Promise.all([get(path), get(`${path}/choices`)]);
  return { ...view, fields: parameters.properties, required: parameters.required, choices };
}

/** @param {Field} field */
export const takesFile = (field) => FILES.has(field["x-kind"] ?? "");

/**
 * Whether a workflow that could run takes files of a kind.
 * @param {string} kind
 */
export const isTaken = (kind) => (workflows.value ?? []).some((each) => each.available !== false && (each.takes ?? []).includes(kind));

/**
 * Workflows that could run and have a field of that kind.
 * @param {string} kind
 */
export async function workflowsTaking(kind) {
  const all = await Promise.all(
    (workflows.value ?? [])
      .filter((each) => each.available !== false && (each.takes ?? []).includes(kind))
      .map((each) => workflowOf(each.name)),
  );
  return all.filter((each) => fieldOfKind(each, kind));
}

/**
 * The name of a workflow's first field of a kind.
 * @param {Workflow} workflow
 * @param {string} kind
 */
export function fieldOfKind(workflow, kind) {
  return Object.keys(workflow.fields).find((name) => workflow.fields[name]?.["x-kind"] === kind);
}

/**
 * The values that a request has to name: those that are no defaults.
 * @param {Workflow} workflow
 * @param {import("../types").Values} values
 */
export function toSend(workflow, values) {
  return Object.fromEntries(
    Object.entries(values).filter(([name, value]) => {
      const field = workflow.fields[name];
      return field && value !== undefined && value !== null && !isDefault(field, value);
    }),
  );
}

/**
 * @param {Field} field
 * @param {Value} value
 */
function isDefault(field, value) {
  if (value === "" && field.default === undefined) return true;
  return written(value) === written(field.default);
}
