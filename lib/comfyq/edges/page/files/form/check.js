// What the server would refuse of a form, told before it is sent, in the server's words.

import { written } from "../state/json.js";

/** @typedef {import("../types").Field} Field */
/** @typedef {import("../types").Value} Value */
/** @typedef {import("../types").Values} Values */
/** @typedef {import("../types").Workflow} Workflow */
/** @typedef {{ field: string, message: string }} Fault */

/**
 * @param {Workflow} workflow
 * @param {Values} values those of a request
 * @returns {Fault[]}
 */
export function faultsOf(workflow, values) {
  return Object.entries(workflow.fields).flatMap(([name, field]) => {
    const value = values[name];
    const isThere = value !== undefined && value !== null;
    const message = isThere ? faultOf(field, value) : workflow.required.includes(name) ? "is required" : "";
    return message ? [{ field: name, message }] : [];
  });
}

/**
 * @param {Field} field
 * @param {Value} value
 * @returns {string} empty: none that can be known here
 */
function faultOf(field, value) {
  const { type, minimum: least = -Infinity, maximum: most = Infinity, multipleOf: step } = field;
  if (type === "integer" || type === "number") {
    const isNumber = typeof value === "number" || typeof value === "bigint";
    if (!isNumber || Number.isNaN(value)) return `must be ${type === "integer" ? "an integer" : "a number"}, not ${written(value)}`;
    if (value < least) return `is ${value}; the least is ${least}`;
    if (value > most) return `is ${value}; the most is ${most}`;
    if (typeof value === "bigint" || type === "number") return "";
    if (!Number.isInteger(value)) return `must be an integer, not ${value}`;
    return step && value % step ? `is ${value}; it must be a multiple of ${step}` : "";
  }
  if (type !== "string" || typeof value !== "string") return "";
  const { length } = [...value];
  const { minLength: fewest = 0, maxLength: mostCharacters = Infinity } = field;
  if (length < fewest) return `has ${length} characters; the least is ${fewest}`;
  return length > mostCharacters ? `has ${length} characters; the most is ${mostCharacters}` : "";
}
