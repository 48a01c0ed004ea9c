// Texts, choices and switches.

import { html } from "../lib.js";

/** @typedef {import("../types").Control} Control */

const LONG = 300; // a text that may be longer has several lines
const MANY = 40; // choices beyond which one types instead of looking through a list

/** @param {Event} event */
const valueOf = (event) => /** @type {HTMLInputElement} */ (event.target).value;

/** @param {Control} control */
export function TextControl({ name, field, id, describedBy, invalid, required, value, set }) {
  const common = {
    id,
    name,
    value: value ?? "",
    required,
    maxLength: field.maxLength,
    "aria-describedby": describedBy,
    "aria-invalid": invalid,
    onInput: (/** @type {Event} */ event) => set(valueOf(event)),
  };
  if ((field.maxLength ?? 0) <= LONG) return html`<input type="text" ...${common} />`;
  return html`<textarea rows=${name === "prompt" ? 5 : 2} ...${common}></textarea>`;
}

/** @param {Control} control */
export function ChoiceControl({ name, id, describedBy, invalid, required, value, choices, set }) {
  const now = typeof value === "string" ? value : "";
  const common = { id, name, required, "aria-describedby": describedBy, "aria-invalid": invalid };
  if (choices.length > MANY || choices.length === 0) {
    return html`<input
        type="text"
        list=${`${id}-list`}
        value=${now}
        onInput=${(/** @type {Event} */ event) => set(valueOf(event))}
        ...${common}
      />
      <datalist id=${`${id}-list`}>${choices.map((each) => html`<option value=${each}></option>`)}</datalist>`;
  }
  const all = now && !choices.includes(now) ? [now, ...choices] : choices;
  return html`<select onChange=${(/** @type {Event} */ event) => set(valueOf(event))} ...${common}>
    ${!now && html`<option value=""></option>`}
    ${all.map((each) => html`<option value=${each} selected=${each === now}>${each}</option>`)}
  </select>`;
}

/** @param {Control} control */
export function CheckControl({ name, id, describedBy, value, set }) {
  return html`<input
    type="checkbox"
    role="switch"
    id=${id}
    name=${name}
    checked=${value === true}
    aria-describedby=${describedBy}
    onChange=${(/** @type {Event} */ event) => set(/** @type {HTMLInputElement} */ (event.target).checked)}
  />`;
}
