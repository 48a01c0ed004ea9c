// Values that a workflow knows by name; choosing one puts them into the form.

import { html } from "../lib.js";
import { change, draftOf } from "../state/drafts.js";

/** @typedef {import("../types").Workflow} Workflow */
/** @typedef {import("../types").Values} Values */

/** @param {{ workflow: Workflow }} props */
export function Presets({ workflow }) {
  const presets = Object.entries(/** @type {Record<string, Values>} */ (workflow.presets));
  if (presets.length === 0) return null;
  const draft = draftOf(workflow);
  return html`<div class="chips" role="group" aria-label="Presets">
    ${presets.map(
      ([name, values]) => html`<button
        type="button"
        class="chip"
        aria-pressed=${holds(draft, values)}
        onClick=${() => change(workflow.name, values)}
      >
        ${name}
      </button>`,
    )}
  </div>`;
}

/** @param {{ workflow: Workflow }} props */
export function NegativePresets({ workflow }) {
  const named = Object.entries(workflow.negative_prompts);
  if (named.length === 0) return null;
  const now = draftOf(workflow).negative_prompt;
  return html`<span class="chips small" role="group" aria-label="Negative prompts">
    ${named.map(
      ([name, text]) => html`<button
        type="button"
        class="chip"
        aria-pressed=${now === text}
        onClick=${() => change(workflow.name, { negative_prompt: now === text ? "" : text })}
      >
        ${name}
      </button>`,
    )}
  </span>`;
}

/**
 * @param {Values} draft
 * @param {Values} values
 */
const holds = (draft, values) => Object.entries(values).every(([name, value]) => draft[name] === value);
