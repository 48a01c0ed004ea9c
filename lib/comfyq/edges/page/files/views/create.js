// The first page: a workflow's form, what is being made, and what was made last.

import { html, useEffect } from "../lib.js";
import { WorkflowForm } from "../form/form.js";
import { Actions } from "../parts/actions.js";
import { Card, Inside, detailOf, nameOf } from "../parts/card.js";
import { useLoaded, usePolled, useTitle } from "../parts/hooks.js";
import { Icon } from "../parts/icons.js";
import { Media, mainOutput } from "../parts/media.js";
import { Empty, Loading, Starting, Trouble } from "../parts/notices.js";
import { Progress } from "../parts/progress.js";
import { ago, statusOf } from "../parts/words.js";
import { chosen, hasEnded, jobSignal, recent, refreshRecent } from "../state/jobs.js";
import { keep, kept } from "../state/kept.js";
import { go, route } from "../state/route.js";
import { may } from "../state/session.js";
import { lookForWorkflows, version, workflowOf, workflows } from "../state/workflows.js";

/** @typedef {import("../types").Job} Job */
/** @typedef {import("../types").WorkflowSummary} WorkflowSummary */

const LOOK_MS = 8000;
const LOOK_AT_WORKFLOWS_MS = 15_000;
const LAST = "comfyq.workflow"; // the one that was used last

export function CreateView() {
  useTitle("Create");
  usePolled(() => void refreshRecent().catch(() => {}), LOOK_MS);
  usePolled(() => void lookForWorkflows().catch(() => {}), LOOK_AT_WORKFLOWS_MS);
  const all = workflows.value;
  const name = route.value.parts[0] ?? firstOf(all ?? []);
  useEffect(() => {
    if (name) keep(LAST, name);
  }, [name]);
  return html`<div class="create">
    <section class="panel form-panel" aria-label="Request">
      ${all === null && html`<${Starting} of="workflows" />`}
      ${all && !may("submit") && html`<${MakesNothing} />`}
      ${all?.length === 0 && html`<${Empty} title="This server has no workflows."><p>COMFYQ_WORKFLOWS_DIR names the folder that has them.</p><//>`}
      ${all && name && may("submit") && html`<${Chooser} all=${all} name=${name} /><${Chosen} key=${name} name=${name} />`}
    </section>
    <section class="results" aria-label="Results"><${Stage} /><${Recent} /></section>
  </div>`;
}

/** @param {WorkflowSummary[]} all */
function firstOf(all) {
  const last = all.find((each) => each.name === kept(LAST));
  return (last ?? all.find((each) => each.available !== false) ?? all[0])?.name;
}

/** In the place of forms, for a key that could send none. */
const MakesNothing = () => html`<${Empty} title="Your key makes nothing">
  <p>It has no scope <code>submit</code>, so there is no form here. What others of its tenant make can be seen.</p>
<//>`;

/** @param {{ all: WorkflowSummary[], name: string }} props */
function Chooser({ all, name }) {
  const one = all.find((each) => each.name === name);
  const runs = all.filter((each) => each.available !== false);
  const lacks = all.filter((each) => each.available === false);
  const option = (/** @type {WorkflowSummary} */ each) =>
    html`<option value=${each.name} selected=${each.name === name}>${each.title}</option>`;
  return html`<div class="chooser">
    <div class="field">
      <label for="workflow">Workflow</label>
      <select id="workflow" onChange=${(/** @type {Event} */ event) => go(`create/${encodeURIComponent(/** @type {HTMLSelectElement} */ (event.target).value)}`)}>
        ${runs.map(option)}
        ${lacks.length > 0 && html`<optgroup label="Not available now">${lacks.map(option)}</optgroup>`}
      </select>
    </div>
    <p class="quiet">${one?.description}</p>
    ${one?.available === false &&
    html`<div class="note"><p>No worker can run it now:</p><ul>${one.reasons.map((each) => html`<li>${each}</li>`)}</ul></div>`}
  </div>`;
}

/** @param {{ name: string }} props */
function Chosen({ name }) {
  const { value, failure, reload } = useLoaded(() => workflowOf(name), [name, version.value]);
  if (failure && !value) return html`<${Trouble} failure=${failure}><button type="button" onClick=${reload}>Load again</button><//>`;
  return value ? html`<${WorkflowForm} workflow=${value} />` : html`<${Loading} of="its form" />`;
}

function Stage() {
  const id = chosen.value || recent.value?.[0];
  const job = id ? jobSignal(id)?.value : undefined;
  if (!job) {
    return html`<div class="stage">
      ${recent.value === null
        ? workflows.value && html`<${Starting} of="your jobs" />`
        : html`<${Empty} title="Nothing made yet">${may("submit") && html`<p>Describe what you want and press <em>Generate</em>. It appears here.</p>`}<//>`}
    </div>`;
  }
  return html`<article class="stage-whole" aria-label="Newest job">
    <div class="stage"><${Shown} job=${job} /></div>
    <div class="stage-foot">
      <div class="stage-line">
        ${!hasEnded(job)
          ? html`<${Progress} job=${job} />`
          : html`<p><a href=${`#/job/${job.id}`}>${nameOf(job)}</a></p><p class="quiet">${afterwards(job)}</p>`}
      </div>
      <${Actions} job=${job} stays />
    </div>
  </article>`;
}

/** @param {Job} job that has ended */
const afterwards = (job) =>
  [detailOf(job), statusOf(job), ago(job.ended_at), job.simulated ? "simulated" : ""].filter(Boolean).join(" · ");

/** @param {{ job: Job }} props */
function Shown({ job }) {
  const output = mainOutput(job);
  const alt = nameOf(job);
  if (job.status === "failed") return html`<${Failed} job=${job} />`;
  if (output) return html`<${Media} output=${output} alt=${alt} />`;
  return html`<span class="tile big"><${Inside} job=${job} alt=${alt} /></span>`;
}

/** @param {{ job: Job }} props */
export function Failed({ job }) {
  return html`<div class="failed" tabindex="0" role="group" aria-label="What failed">
    <p class="empty-title">It failed</p>
    <p>${job.error}</p>
    <p class="quiet">${job.error_code}</p>
  </div>`;
}

function Recent() {
  const ids = recent.value ?? [];
  if (ids.length < 2) return null;
  return html`<div class="section-head">
      <h2>Recent</h2>
      <a href="#/history"><${Icon} name="history" /> All</a>
    </div>
    <ul class="grid">${ids.map((id) => html`<${Card} key=${id} id=${id} />`)}</ul>`;
}
