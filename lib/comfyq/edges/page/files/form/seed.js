// A seed: drawn for each job, or one that stays.

import { html } from "../lib.js";
import { Icon } from "../parts/icons.js";
import { wholeOf } from "../state/json.js";

/** @typedef {import("../types").Control} Control */

const DRAW = -1; // what the API takes for "draw one"
const MOST = 2 ** 32; // of those that are drawn here; short enough to be read

/** A seed that is drawn here. */
export const drawn = () => Math.floor(Math.random() * MOST);

/** @param {Control} control */
export function SeedControl({ name, id, describedBy, invalid, value, set }) {
  const isDrawn = value === DRAW || value === undefined;
  return html`<div class="seed">
    <input
      type="text"
      inputmode="numeric"
      id=${id}
      name=${name}
      placeholder="drawn for each job"
      value=${isDrawn ? "" : value}
      aria-describedby=${describedBy}
      aria-invalid=${invalid}
      onInput=${(/** @type {Event} */ event) => {
        const text = /** @type {HTMLInputElement} */ (event.target).value.trim();
        set(text === "" ? DRAW : /^\d+$/.test(text) ? wholeOf(text) : text);
      }}
    />
    <button type="button" class="icon-button" aria-label="Roll a seed" title="Roll a seed that stays" onClick=${() => set(drawn())}>
      <${Icon} name="dice" />
    </button>
    <button type="button" class="icon-button" aria-label="Draw a seed for each job" title="Draw one for each job" disabled=${isDrawn} onClick=${() => set(DRAW)}>
      <${Icon} name="close" />
    </button>
  </div>`;
}
