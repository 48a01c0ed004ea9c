// Numbers: a slider where both bounds are known, and a box to type the same number.

import { html } from "../lib.js";

/** @typedef {import("../types").Control} Control */
/** @typedef {import("../types").Field} Field */

const FINE = 0.05;
const MEDIUM = 0.1;
const COARSE = 0.5;

/** @param {Field} field */
export function stepOf(field) {
  if (field.multipleOf) return field.multipleOf;
  if (field.type === "integer") return 1;
  const width = (field.maximum ?? 1) - (field.minimum ?? 0);
  if (width <= 2) return FINE;
  return width <= 20 ? MEDIUM : COARSE;
}

/** @param {Control} control */
export function NumberControl({ name, field, id, describedBy, invalid, required, value, set }) {
  const bounds = { min: field.minimum, max: field.maximum, step: stepOf(field) };
  const hasSlider = field.minimum !== undefined && field.maximum !== undefined;
  /** @param {Event} event */
  const take = (event) => {
    const text = /** @type {HTMLInputElement} */ (event.target).value;
    set(text === "" ? undefined : Number(text));
  };
  return html`<div class="number">
    ${hasSlider &&
    html`<input type="range" tabindex="-1" aria-hidden="true" ...${bounds} value=${value ?? field.minimum} onInput=${take} />`}
    <input
      type="number"
      inputmode="decimal"
      id=${id}
      name=${name}
      ...${bounds}
      step=${field.type === "integer" ? bounds.step : "any"}
      value=${value ?? ""}
      required=${required}
      aria-describedby=${describedBy}
      aria-invalid=${invalid}
      onInput=${take}
    />
  </div>`;
}
