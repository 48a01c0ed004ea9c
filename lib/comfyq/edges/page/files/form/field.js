// One field of a form: its label, its control, what it means and what is wrong with it.

import { html, useId } from "../lib.js";
import { change } from "../state/drafts.js";
import { takesFile } from "../state/workflows.js";
import { FileControl } from "./files.js";
import { LorasControl } from "./loras.js";
import { NumberControl } from "./numbers.js";
import { NegativePresets } from "./presets.js";
import { SeedControl } from "./seed.js";
import { CheckControl, ChoiceControl, TextControl } from "./texts.js";

/** @typedef {import("../types").Workflow} Workflow */
/** @typedef {import("../types").Field} Field */
/** @typedef {import("../types").Values} Values */

const NUMBERS = new Set(["integer", "number", "size"]);
const GROUPED = new Set(["loras"]); // several controls, which have labels of their own

/** @param {Field} field */
function controlOf(field) {
  const kind = field["x-kind"] ?? field.type ?? "string";
  if (takesFile(field)) return FileControl;
  if (kind === "seed") return SeedControl;
  if (kind === "loras") return LorasControl;
  if (kind === "enum" || field.enum) return ChoiceControl;
  if (kind === "boolean") return CheckControl;
  return NUMBERS.has(kind) ? NumberControl : TextControl;
}

/** @param {{ workflow: Workflow, name: string, values: Values, problems: string[] }} props */
export function FormField({ workflow, name, values, problems }) {
  const id = useId();
  const field = workflow.fields[name] ?? {};
  const help = field.description ?? "";
  const isWrong = problems.length > 0;
  const isGroup = GROUPED.has(field["x-kind"] ?? "") || takesFile(field);
  const title = `${field.title ?? name}${field["x-unit"] ? ` (${field["x-unit"]})` : ""}`;
  const control = {
    name,
    field,
    id,
    describedBy: `${id}-help ${id}-wrong`,
    invalid: isWrong,
    required: workflow.required.includes(name),
    value: values[name],
    choices: workflow.choices[name] ?? field.enum ?? field.examples ?? [],
    set: (/** @type {import("../types").Value | undefined} */ value) => change(workflow.name, { [name]: value }),
    workflow,
    values,
  };
  return html`<div class=${`field kind-${field["x-kind"] ?? "string"}`} role=${isGroup ? "group" : undefined} aria-labelledby=${isGroup ? `${id}-label` : undefined}>
    <div class="label-row">
      <label id=${`${id}-label`} for=${isGroup ? undefined : id} title=${help}>${title}</label>
      ${name === "negative_prompt" && html`<${NegativePresets} workflow=${workflow} />`}
    </div>
    <${controlOf(field)} ...${control} />
    <p id=${`${id}-help`} class="sr">${help}</p>
    <p id=${`${id}-wrong`} class="wrong">${problems.join("; ")}</p>
  </div>`;
}
