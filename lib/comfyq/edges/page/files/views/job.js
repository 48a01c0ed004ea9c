// One job: what it made, of what, and what can be done with it.

import { html, useEffect, useState } from "../lib.js";
import { Actions, DeleteAction, Snippets } from "../parts/actions.js";
import { Inside, madeBy, nameOf } from "../parts/card.js";
import { useLoaded, usePolled, useTitle } from "../parts/hooks.js";
import { Icon } from "../parts/icons.js";
import { Media, Thumb, mainOutput } from "../parts/media.js";
import { Loading, Trouble } from "../parts/notices.js";
import { Progress } from "../parts/progress.js";
import { moment, shown, span, statusOf } from "../parts/words.js";
import { fetchJob, hasEnded, jobSignal, lookAt } from "../state/jobs.js";
import { get } from "../state/request.js";
import { connected } from "../state/socket.js";
import { back, go, route } from "../state/route.js";
import { Failed } from "./create.js";

/** @typedef {import("../types").Job} Job */
/** @typedef {import("../types").Output} Output */
/** @typedef {import("../types").Story} Story */

const LOOK_MS = 4000; // where nothing tells of changes

export function JobView() {
  const id = route.value.parts[0] ?? "";
  const { failure, reload } = useLoaded(() => fetchJob(id), [id]);
  const job = jobSignal(id)?.value;
  const { value: story } = useLoaded(() => get(`generate/${id}/story`), [id, job && hasEnded(job)]);
  usePolled(() => {
    if (job && !hasEnded(job) && !connected.peek()) lookAt(id).catch(() => {});
  }, LOOK_MS);
  const name = job ? nameOf(job) : "Job";
  useTitle(name);
  if (failure) {
    return html`<div class="page narrow"><h1>Job</h1><${Trouble} failure=${failure}><button type="button" onClick=${reload}>Load again</button><//></div>`;
  }
  if (!job) return html`<div class="page narrow"><${Loading} of="the job" /></div>`;
  return html`<div class="page job">
    <div class="section-head">
      <h1>
        <button type="button" class="icon-button" aria-label="Back" onClick=${() => back("history")}><${Icon} name="back" /></button>
        ${name}
      </h1>
      ${name !== madeBy(job) && html`<p class="quiet grow">${madeBy(job)}</p>`}
      <p class=${`status ${job.status}`}>${statusOf(job)}</p>
    </div>
    <div class="job-columns">
      <div><${Outputs} key=${id} job=${job} alt=${shown(story?.parameters.prompt ?? nameOf(job))} /></div>
      <div class="panel job-facts">
        <${Progress} job=${job} />
        <${Actions} job=${job} />
        ${(job.warnings ?? []).map((each) => html`<p class="note">${each}</p>`)}
        ${story && html`<${Parameters} story=${story} />`}
        ${story && html`<${Snippets} job=${job} parameters=${story.parameters} />`}
        <${Facts} job=${job} story=${story} />
        <div class="row wrap">${hasEnded(job) && html`<${DeleteAction} job=${job} done=${() => go("history")} />`}</div>
      </div>
    </div>
  </div>`;
}

/** @param {{ job: Job, alt: string }} props */
function Outputs({ job, alt }) {
  const outputs = job.outputs ?? [];
  const [index, setIndex] = useState(0);
  useEffect(() => setIndex(0), [job.id]);
  const output = outputs[index] ?? mainOutput(job);
  if (job.status === "failed") return html`<div class="stage"><${Failed} job=${job} /></div>`;
  if (!output) return html`<div class="stage"><span class="tile big"><${Inside} job=${job} alt=${alt} /></span></div>`;
  return html`<div class="stage"><${Media} key=${output.index} output=${output} alt=${alt} /></div>
    ${outputs.length > 1 &&
    html`<ul class="strip">
      ${outputs.map(
        (each, n) => html`<li>
          <button type="button" aria-pressed=${n === index} aria-label=${`Output ${n + 1}: ${each.filename}`} onClick=${() => setIndex(n)}>
            <${Thumb} output=${each} alt="" />
          </button>
        </li>`,
      )}
    </ul>`}`;
}

/** @param {{ story: Story }} props */
function Parameters({ story }) {
  return html`<dl class="facts">
    ${Object.entries(story.parameters).map(
      ([name, value]) => html`<div><dt>${name}</dt><dd>${shown(value)}</dd></div>`,
    )}
  </dl>`;
}

/** @param {{ job: Job, story: Story | null }} props */
function Facts({ job, story }) {
  const took = job.started_at && job.ended_at ? (Date.parse(job.ended_at) - Date.parse(job.started_at)) / 1000 : null;
  /** @type {[string, unknown][]} */
  const facts = [
    ["id", job.id],
    ["submitted", moment(job.created_at)],
    ["took", took === null ? null : took < 1 ? "under 1 s" : span(took)],
    ["labels", Object.entries(job.labels ?? {}).map((each) => each.join("="))],
    ["made by", job.simulated ? "a simulator: nothing of it is real" : null],
    ["tries again", job.retry_of],
    ["files of", job.reused_from],
  ];
  return html`<details>
    <summary>More of this job</summary>
    <dl class="facts">
      ${facts
        .filter(([, value]) => value && shown(value) !== "–")
        .map(([name, value]) => html`<div><dt>${name}</dt><dd>${shown(value)}</dd></div>`)}
    </dl>
    ${(story?.attempts ?? []).length > 0 &&
    html`<table>
      <caption>Attempts</caption>
      <thead><tr><th>Worker</th><th>Ended</th><th>Verdict</th></tr></thead>
      <tbody>
        ${story?.attempts.map(
          (each) => html`<tr><td>${each.worker}</td><td>${moment(each.ended_at)}</td><td>${each.verdict}${each.reason ? `: ${each.reason}` : ""}</td></tr>`,
        )}
      </tbody>
    </table>`}
  </details>`;
}
