// LoRAs: any number of files, each with its strength, written as the API takes them: `name:0.8`.

import { html, useId } from "../lib.js";
import { Icon } from "../parts/icons.js";

/** @typedef {import("../types").Control} Control */

const USUAL = 1;
const STRENGTH = /^(.*?):([+-]?[\d.]+)$/;

/** @param {string} text */
function parse(text) {
  const [, name = text, strength = String(USUAL)] = STRENGTH.exec(text) ?? [];
  return { name, strength: Number(strength) };
}

/** @param {Control} control */
export function LorasControl({ field, id, describedBy, value, choices, set }) {
  const loras = Array.isArray(value) ? value : [];
  const most = field.maxItems ?? Infinity;
  /**
   * @param {number} index
   * @param {string | null} text null takes it out
   */
  const put = (index, text) => {
    set(loras.flatMap((each, n) => (n !== index ? [each] : text === null ? [] : [text])));
  };
  return html`<div class="loras" aria-describedby=${describedBy}>
    ${loras.map((each, index) => html`<${Lora} key=${index} text=${each} list=${`${id}-names`} put=${(/** @type {string | null} */ text) => put(index, text)} />`)}
    <datalist id=${`${id}-names`}>${choices.map((each) => html`<option value=${each}></option>`)}</datalist>
    ${loras.length < most &&
    html`<button type="button" class="plain" onClick=${() => set([...loras, `${free(choices, loras)}:${USUAL}`])}>
      <${Icon} name="create" /> Add a LoRA
    </button>`}
    ${choices.length === 0 && html`<p class="quiet">No worker has told of any.</p>`}
  </div>`;
}

/**
 * The first name that is not chosen yet.
 * @param {string[]} choices
 * @param {string[]} loras
 */
function free(choices, loras) {
  const taken = new Set(loras.map((each) => parse(each).name));
  return choices.find((each) => !taken.has(each)) ?? "";
}

/** @param {{ text: string, list: string, put: (text: string | null) => void }} props */
function Lora({ text, list, put }) {
  const id = useId();
  const { name, strength } = parse(text);
  /** @param {Event} event */
  const setStrength = (event) => put(`${name}:${/** @type {HTMLInputElement} */ (event.target).value || 0}`);
  return html`<div class="lora">
    <input
      type="text"
      aria-label="LoRA"
      list=${list}
      value=${name}
      onChange=${(/** @type {Event} */ event) => put(`${/** @type {HTMLInputElement} */ (event.target).value}:${strength}`)}
    />
    <div class="number">
      <input type="range" tabindex="-1" aria-hidden="true" min="-2" max="2" step="0.05" value=${strength} onInput=${setStrength} />
      <input id=${id} type="number" aria-label=${`Strength of ${name || "the LoRA"}`} step="any" value=${strength} onChange=${setStrength} />
    </div>
    <button type="button" class="icon-button" aria-label=${`Remove ${name || "the LoRA"}`} onClick=${() => put(null)}>
      <${Icon} name="close" />
    </button>
  </div>`;
}
