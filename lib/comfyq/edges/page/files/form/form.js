// A workflow's form, made from its JSON Schema.

import { html, useEffect, useId, useRef, useState } from "../lib.js";
import { draftOf, reset } from "../state/drafts.js";
import { faultsOf } from "./check.js";
import { FormField } from "./field.js";
import { Presets } from "./presets.js";
import { MOST, Vary, requestsOf } from "./vary.js";
import { sending } from "../state/files.js";
import { written } from "../state/json.js";
import { Failure } from "../state/request.js";
import { submit, submitBatch } from "../state/jobs.js";
import { toSend } from "../state/workflows.js";
import { Trouble } from "../parts/notices.js";
import { go } from "../state/route.js";

/** @typedef {import("../types").Workflow} Workflow */
/** @typedef {import("../types").Field} Field */
/** @typedef {import("../types").Values} Values */
/** @typedef {import("./vary.js").Varied} Varied */
/** @typedef {{ failure: Failure, values: Values }} Refused with all that the form had */

const UNSENT = "unsent";
const VARIED = "several at once"; // beside the names of parameters, which have no spaces

const OPEN = ["prompt", "input", "picture", "style", ""]; // groups in their order; others are folded
/** @type {Record<string, string>} */
const TITLES = { picture: "Size", style: "LoRAs", sampling: "Sampling", model: "Model", video: "Video" };
const PLAIN = new Set(["prompt", "input", ""]); // groups without a heading
const BELOW = "(max-width: 56rem)"; // as in form.css
const CHOSEN_BY_NAME = new Set(["preset", "negative_preset"]);

/**
 * The names of a workflow's fields by group, open groups first.
 * @param {Workflow} workflow
 * @returns {[string, string[]][]}
 */
export function groupsOf(workflow) {
  const groups = new Map(OPEN.map((group) => [group, /** @type {string[]} */ ([])]));
  for (const [name, field] of Object.entries(workflow.fields)) {
    if (field["x-kind"] === "ignored" || CHOSEN_BY_NAME.has(name)) continue;
    const group = field["x-group"] ?? "";
    groups.set(group, [...(groups.get(group) ?? []), name]);
  }
  return [...groups].filter(([, names]) => names.length);
}

/** @param {{ workflow: Workflow }} props */
export function WorkflowForm({ workflow }) {
  const [refused, setRefused] = useState(/** @type {Refused | null} */ (null));
  const [isSending, setSending] = useState(false);
  const [vary, setVary] = useState({ count: 1, name: "", values: "" });
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  useEffect(() => {
    if (refused) focusWrong(form.current);
  }, [refused]);
  const values = draftOf(workflow);
  const { requests, wanted } = requestsOf(workflow, toSend(workflow, values), vary);
  const isBusy = isSending || sending.value > 0;
  const given = { ...values, [VARIED]: written(vary) };
  const refuse = (/** @type {Failure} */ failure) => setRefused({ failure, values: given });

  /** @param {Event} event */
  const send = async (event) => {
    event.preventDefault();
    if (isBusy || wanted > MOST) return;
    const fault = faultIn(workflow, requests, vary);
    if (fault) return refuse(fault);
    setSending(true);
    setRefused(null);
    try {
      const [only] = requests;
      if (only && requests.length === 1) {
        await submit(workflow.name, only.values);
        showResults();
      } else go(`batch/${await submitBatch(requests.map((each) => each.request))}`);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      refuse(error);
    } finally {
      setSending(false);
    }
  };

  /** @param {KeyboardEvent} event */
  const onKeyDown = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.repeat) void send(event);
  };

  const words = sending.value > 0 ? "Sending the file …" : isSending ? "Sending …" : wanted === 1 ? "Generate" : `Generate ${wanted}`;
  return html`<form ref=${form} class="form" onSubmit=${send} onKeyDown=${onKeyDown} novalidate>
    <${Presets} workflow=${workflow} />
    ${groupsOf(workflow).map(
      ([group, names]) => html`<${Group} key=${group} group=${group}>
        ${names.map(
          (name) => html`<${FormField}
            key=${`${workflow.name}/${name}`}
            workflow=${workflow}
            name=${name}
            values=${values}
            problems=${problemsOf(refused, given, name)}
          />`,
        )}
      <//>`,
    )}
    <${Vary} workflow=${workflow} vary=${vary} set=${setVary} count=${wanted} problems=${problemsOf(refused, given, VARIED)} />
    <div class="form-end">
      <${Trouble} failure=${toldOf(refused, given, workflow)} />
      <div class="row">
        <button class="primary" type="submit" disabled=${isBusy || wanted > MOST} aria-keyshortcuts="Control+Enter">
          ${words}
        </button>
        <button type="button" class="plain" onClick=${() => reset(workflow.name)}>Reset</button>
      </div>
    </div>
  </form>`;
}

/** @param {HTMLFormElement | null} form whose first wrong field is shown */
function focusWrong(form) {
  const wrong = /** @type {HTMLElement | null} */ (form?.querySelector('[aria-invalid="true"]') ?? null);
  for (const each of form?.querySelectorAll('details:has([aria-invalid="true"])') ?? []) each.setAttribute("open", "");
  const place = /** @type {HTMLElement | null} */ (wrong?.closest(".drop")?.querySelector("button") ?? wrong);
  place?.focus();
}

/** Where the results stand below the form, as on phones, go there. */
function showResults() {
  if (matchMedia(BELOW).matches) document.querySelector(".results")?.scrollIntoView({ behavior: "smooth" });
}

/**
 * Why the server would refuse a form, as far as that can be known here.
 * @param {Workflow} workflow
 * @param {{ values: Values }[]} requests
 * @param {Varied} vary
 */
function faultIn(workflow, requests, vary) {
  const isVaried = vary.values.trim() !== "";
  const faults = requests.flatMap((each) => faultsOf(workflow, each.values));
  if (faults.length === 0) return null;
  const errors = faults.map(({ field, message }) => ({ field: isVaried && field === vary.name ? VARIED : field, message }));
  const once = [...new Map(errors.map((each) => [`${each.field} ${each.message}`, each])).values()];
  return new Failure({ status: 0, code: UNSENT, detail: "", errors: once });
}

/**
 * What is told of a refused form, until that is mended.
 * @param {Refused | null} refused
 * @param {Values} given
 * @param {Workflow} workflow
 */
function toldOf(refused, given, workflow) {
  if (!refused) return null;
  const { failure, values } = refused;
  const shown = failure.fields.filter(({ field }) => nameOf(field) in given);
  const left = shown.filter(({ field }) => isSame(values, given, nameOf(field)));
  if (left.length === 0) return shown.length ? null : failure;
  if (failure.code !== UNSENT) return failure;
  const words = left.map(({ field, message }) => `${field === VARIED ? "A value" : workflow.fields[field]?.title ?? field} ${message}`);
  return new Failure({ ...failure, detail: `Nothing was sent: ${words.join("; ")}.` });
}

/** @param {string} path of a value: `loras.0` */
const nameOf = (path) => path.split(".")[0] ?? "";

/**
 * @param {Values} one
 * @param {Values} other
 * @param {string} name
 */
const isSame = (one, other, name) => written(one[name]) === written(other[name]);

/**
 * What is wrong with a field, until it is changed.
 * @param {Refused | null} refused
 * @param {Values} given
 * @param {string} name
 */
function problemsOf(refused, given, name) {
  if (!refused || !isSame(refused.values, given, name)) return [];
  return refused.failure.fields.filter((each) => nameOf(each.field) === name).map((each) => each.message);
}

/** @param {{ group: string, children?: any }} props */
function Group({ group, children }) {
  const id = useId();
  const title = TITLES[group] ?? `${group.charAt(0).toUpperCase()}${group.slice(1)}`;
  if (PLAIN.has(group)) return html`<div class="group">${children}</div>`;
  if (OPEN.includes(group)) {
    return html`<section class=${`group ${group}`} aria-labelledby=${id}>
      <h3 id=${id}>${title}</h3>
      ${children}
    </section>`;
  }
  return html`<details class="group">
    <summary>${title}</summary>
    <div class="folded">${children}</div>
  </details>`;
}

