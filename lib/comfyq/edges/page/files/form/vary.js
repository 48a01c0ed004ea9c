// Several jobs at once: other seeds, and values of one parameter in turn.

import { html, useId } from "../lib.js";
import { several } from "../parts/words.js";
import { ROW, labelOf } from "../state/labels.js";
import { drawn } from "./seed.js";

/** @typedef {import("../types").Workflow} Workflow */
/** @typedef {import("../types").Values} Values */
/** @typedef {{ count: number, name: string, values: string }} Varied */

/** Requests of a batch. */
export const MOST = 500;
const VARIABLE = new Set(["integer", "number", "size", "enum", "string"]);

/**
 * @param {string} text one value a line; in one line parted by commas, unless values are `whole` texts
 * @param {boolean} whole
 */
export function listOf(text, whole) {
  const parts = whole || text.includes("\n") ? text.split("\n") : text.split(",");
  return parts.map((each) => each.trim()).filter(Boolean);
}

/**
 * The requests of a form; one if nothing is varied. `wanted` are as many as were asked for; of more
 * than a batch may have none is made.
 * @param {Workflow} workflow
 * @param {Values} values
 * @param {Varied} vary
 * @returns {{ requests: { values: Values, request: Record<string, unknown> }[], wanted: number }}
 */
export function requestsOf(workflow, values, { count, name, values: text }) {
  const field = workflow.fields[name];
  const isNumber = field?.type === "integer" || field?.type === "number";
  const rows = field ? listOf(text, field["x-kind"] === "string").map((each) => (isNumber && !Number.isNaN(Number(each)) ? Number(each) : each)) : [];
  const seed = Object.keys(workflow.fields).find((each) => workflow.fields[each]?.["x-kind"] === "seed");
  const seeds = Array.from({ length: count }, (_, n) => (n === 0 && values[seed ?? ""] !== undefined ? values[seed ?? ""] : drawn()));
  const columns = count > 1 && seed ? seeds.map((each) => ({ [seed]: each })) : [{}];
  const wanted = (rows.length || 1) * columns.length;
  if (wanted > MOST) return { requests: [], wanted };
  const requests = (rows.length ? rows : [null]).flatMap((row, index) =>
    columns.map((column) => {
      const all = { ...values, ...column, ...(row === null ? {} : { [name]: row }) };
      const labels = row === null ? {} : { labels: { [ROW]: labelOf(`${name}=${row}`, `… #${index + 1}`) } }; // long ones may begin alike
      return { values: all, request: { workflow: workflow.name, ...all, ...labels } };
    }),
  );
  return { requests, wanted };
}

/** @param {{ workflow: Workflow, vary: Varied, set: (vary: Varied) => void, count: number, problems: string[] }} props */
export function Vary({ workflow, vary, set, count, problems }) {
  const id = useId();
  const hasSeed = Object.values(workflow.fields).some((field) => field["x-kind"] === "seed");
  const fields = Object.entries(workflow.fields).filter(([, field]) => VARIABLE.has(field["x-kind"] ?? ""));
  /** @param {Event} event */
  const valueOf = (event) => /** @type {HTMLInputElement} */ (event.target).value;
  return html`<details class="group">
    <summary>Several at once${count > 1 ? html` <span class="badge-inline">${several(count, "job")}</span>` : ""}</summary>
    <div class="folded">
      ${hasSeed &&
      html`<div class="field">
        <label for=${`${id}-count`}>Seeds</label>
        <input id=${`${id}-count`} type="number" min="1" max="100" value=${vary.count} onInput=${(/** @type {Event} */ event) => set({ ...vary, count: Math.min(100, Math.max(1, Number(valueOf(event)) || 1)) })} />
      </div>`}
      <div class="field">
        <label for=${`${id}-name`}>Vary</label>
        <select id=${`${id}-name`} onChange=${(/** @type {Event} */ event) => set({ ...vary, name: valueOf(event) })}>
          <option value="" selected=${vary.name === ""}>nothing else</option>
          ${fields.map(([name, field]) => html`<option value=${name} selected=${name === vary.name}>${field.title ?? name}</option>`)}
        </select>
      </div>
      ${vary.name &&
      html`<div class="field">
        <label for=${`${id}-values`}>Values, one a line; numbers and names may be parted by commas</label>
        <textarea id=${`${id}-values`} rows="3" value=${vary.values} aria-describedby=${`${id}-wrong`} aria-invalid=${problems.length > 0} onInput=${(/** @type {Event} */ event) => set({ ...vary, values: valueOf(event) })}></textarea>
        <p id=${`${id}-wrong`} class="wrong">${problems.join("; ")}</p>
      </div>`}
      ${count > MOST && html`<p class="wrong" role="alert">A batch has ${MOST} jobs at most; these are ${count.toLocaleString()}.</p>`}
    </div>
  </details>`;
}
