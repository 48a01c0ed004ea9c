// A job as a tile of a grid. Its shape never changes, so nothing jumps while results arrive.

import { html } from "../lib.js";
import { hasEnded, jobSignal, previewOf } from "../state/jobs.js";
import { titleOf } from "../state/labels.js";
import { picked, pick } from "../state/picked.js";
import { Thumb, mainOutput } from "./media.js";
import { ago, statusOf } from "./words.js";

/** @typedef {import("../types").Job} Job */

/** @param {Job} job */
export const nameOf = (job) => titleOf(job) || madeBy(job);

/** @param {Job} job beside its name, unless that says as much */
export const detailOf = (job) => (titleOf(job) ? madeBy(job) : "");

/** @param {Job} job what tells it from others of the same prompt */
export const madeBy = (job) =>
  `${job.workflow}${job.seed === null || job.seed === undefined ? "" : `, seed ${job.seed}`}`;

/** @param {{ id: string }} props */
export function Card({ id }) {
  const job = jobSignal(id)?.value;
  if (!job) return null;
  const alt = `${nameOf(job)}: ${statusOf(job)}`;
  return html`<li class="card">
    <a href=${`#/job/${id}`}>
      <span class="tile"><${Inside} job=${job} alt=${alt} /></span>
      <span class="card-text">
        <span class="one-line">${nameOf(job)}</span>
        <span class="quiet"><span class="one-line">${detailOf(job)}</span>${" "}<span>${ago(job.created_at)}</span></span>
      </span>
    </a>
    ${job.status === "completed" && html`<${Pick} job=${job} />`}
  </li>`;
}

/** @param {{ job: Job, alt: string }} props */
export function Inside({ job, alt }) {
  const output = mainOutput(job);
  if (output) {
    const more = (job.outputs ?? []).length - 1;
    return html`<${Thumb} output=${output} alt=${alt} />
      ${more > 0 && html`<span class="badge">+${more}</span>`}`;
  }
  const preview = previewOf(job.id).value;
  const percent = Math.round(job.progress * 100);
  const word = job.status === "running" ? `${percent} %` : statusOf(job);
  return html`
    ${preview && html`<img class="preview" src=${preview} alt="" />`}
    <span class=${`tile-state ${job.status}`}>${word}</span>
    ${!hasEnded(job) && html`<progress max="1" value=${job.progress} aria-hidden="true"></progress>`}
  `;
}

/** @param {{ job: Job }} props */
function Pick({ job }) {
  const isPicked = picked.value.includes(job.id);
  return html`<label class="pick" title="Compare">
    <input
      type="checkbox"
      checked=${isPicked}
      aria-label=${`Compare ${nameOf(job)}, ${madeBy(job)}`}
      onChange=${() => pick(job.id)}
    />
  </label>`;
}
