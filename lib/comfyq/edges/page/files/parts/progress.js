// How far a job is.

import { html } from "../lib.js";
import { hasEnded } from "../state/jobs.js";
import { bytes, span, statusOf } from "./words.js";

/** @typedef {import("../types").Job} Job */

/** @param {Job} job */
export function line(job) {
  if (job.status === "queued") return waiting(job);
  if (job.status !== "running") return "";
  const steps = job.max_steps ? `step ${job.step} of ${job.max_steps}` : "";
  const nodes = job.nodes_total ? `${job.nodes_done} of ${job.nodes_total} nodes` : "";
  return [job.node_class, steps, nodes].filter(Boolean).join(" · ");
}

/** @param {Job} job */
function waiting(job) {
  if (job.provisioning) return fetching(job.provisioning);
  if (job.waits_for) return `${/^(a|an|the) /.test(job.waits_for) ? "Waits for" : "Waits:"} ${job.waits_for}`;
  if (job.queue_position) return `Number ${job.queue_position} of your waiting jobs`;
  if (job.queue_position_above) return `Behind more than ${job.queue_position_above} others`;
  return job.queue_position === 0 ? "With a worker" : "Waits for its turn";
}

/** @param {NonNullable<Job["provisioning"]>} at */
function fetching(at) {
  const left = at.eta_s === null || at.eta_s === undefined ? "" : `, about ${span(Math.max(1, at.eta_s))} left`;
  return `Its worker fetches models: ${bytes(at.bytes)} of ${bytes(at.total)}${left}`;
}

/** @param {{ job: Job }} props */
export function Progress({ job }) {
  if (hasEnded(job)) return null;
  const left = job.eta_s === null || job.eta_s === undefined ? "" : `about ${span(Math.max(1, job.eta_s))} left`;
  const percent = Math.round(job.progress * 100);
  return html`<div class="progress">
    <div class="progress-head">
      <span>${statusOf(job)}${job.status === "running" ? ` · ${percent} %` : ""}</span>
      <span class="quiet">${left}</span>
    </div>
    <progress max="1" value=${job.progress} aria-label=${`Progress of ${job.workflow}`}></progress>
    <p class="quiet">${line(job)}</p>
  </div>`;
}
