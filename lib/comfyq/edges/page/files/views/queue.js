// What runs and what waits, in the order in which it is likely to run.

import { html } from "../lib.js";
import { CancelAction } from "../parts/actions.js";
import { Inside, detailOf, nameOf } from "../parts/card.js";
import { useLoaded, usePolled, useTitle } from "../parts/hooks.js";
import { Empty, Loading, Trouble } from "../parts/notices.js";
import { Progress } from "../parts/progress.js";
import { ago, several } from "../parts/words.js";
import { hasEnded, jobSignal, learnAll } from "../state/jobs.js";
import { get } from "../state/request.js";

/** @typedef {import("../types").Job} Job */

const LOOK_MS = 4000;
const MOST = 100; // of those that wait; the server tells no position behind them

async function load() {
  const [running, waiting] = await Promise.all([
    get("generate?status=running&limit=100"),
    get(`generate?status=queued&limit=${MOST}`),
  ]);
  return { ids: [...learnAll(running), ...learnAll(waiting)], isAll: waiting.next_cursor === null };
}

export function QueueView() {
  useTitle("Queue");
  const { value, failure, reload } = useLoaded(load, []);
  usePolled(reload, LOOK_MS);
  const jobs = (value?.ids ?? []).flatMap((id) => jobSignal(id)?.value ?? []).filter((job) => !hasEnded(job));
  jobs.sort((one, other) => place(one) - place(other) || one.created_at.localeCompare(other.created_at));
  return html`<div class="page narrow">
    <div class="section-head">
      <h1>Queue</h1>
      ${value && html`<p class="quiet">${several(jobs.length, "job")}${value.isAll ? "" : " or more"}</p>`}
    </div>
    <${Trouble} failure=${value ? null : failure} />
    ${!value && !failure && html`<${Loading} of="the queue" />`}
    ${value && jobs.length === 0 && html`<${Empty} title="Nothing waits"><p>Jobs stand here until they have ended.</p><//>`}
    <ol class="queue">${jobs.map((job) => html`<${Line} key=${job.id} job=${job} />`)}</ol>
  </div>`;
}

/** @param {Job} job */
function place(job) {
  if (job.status === "running") return -1;
  return job.queue_position ?? MOST + (job.queue_position_above ?? 0);
}

/** @param {{ job: Job }} props */
function Line({ job }) {
  return html`<li class="queue-line panel">
    <a class="tile small" href=${`#/job/${job.id}`} tabindex="-1" aria-hidden="true"><${Inside} job=${job} alt="" /></a>
    <div class="queue-text">
      <p><a href=${`#/job/${job.id}`}>${nameOf(job)}</a></p>
      <p class="quiet">${[detailOf(job), ago(job.created_at)].filter(Boolean).join(" · ")}</p>
      <${Progress} job=${job} />
    </div>
    <${CancelAction} job=${job} />
  </li>`;
}
