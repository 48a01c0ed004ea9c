// Whether a job would run now: health, workers, and what is left of one's limits.

import { html } from "../lib.js";
import { useLoaded, usePolled, useTitle } from "../parts/hooks.js";
import { Empty, Loading, Trouble } from "../parts/notices.js";
import { ago, bytes, several } from "../parts/words.js";
import { get } from "../state/request.js";
import { scopes } from "../state/session.js";

/** @typedef {import("../types").Health} Health */
/** @typedef {import("../types").HealthWorker} HealthWorker */
/** @typedef {import("../types").LiveWorker} LiveWorker */
/** @typedef {import("../types").Quota} Quota */

const LOOK_MS = 5000;

/** @returns {Promise<{ health: Health, workers: LiveWorker[] | null, quota: Quota }>} */
async function load() {
  const isOperator = scopes.value.has("operator");
  const [health, quota, listed] = await Promise.all([
    get("health"),
    get("quota"),
    isOperator ? get("workers") : null, // others see what health tells every tenant
  ]);
  return { health, quota, workers: listed?.workers ?? null };
}

export function SystemView() {
  useTitle("System");
  const { value, failure, reload } = useLoaded(load, [scopes.value.has("operator")]);
  usePolled(reload, LOOK_MS);
  if (!value) return html`<div class="page narrow"><h1>System</h1>${failure ? html`<${Trouble} failure=${failure} />` : html`<${Loading} of="the system" />`}</div>`;
  const { health, workers, quota } = value;
  const known = health.workers ?? [];
  const broken = health.broken_workflows ?? [];
  const isWell = health.status === "healthy";
  return html`<div class="page narrow">
    <div class="section-head"><h1>System</h1><p class="quiet">comfyq ${health.version}</p></div>
    <div class=${`panel health ${isWell ? "well" : "ill"}`}>
      <p class="empty-title">${isWell ? "Jobs run" : "Jobs do not run now"}</p>
      ${health.reason && html`<p>${health.reason}</p>`}
      ${health.simulated && html`<p class="quiet">Only simulators answer: nothing that is made is real.</p>`}
      ${broken.length > 0 && html`<p>Broken workflows: ${broken.join(", ")}</p>`}
      ${(health.paused_webhook_receivers ?? 0) > 0 && html`<p>Paused receivers of webhooks: ${health.paused_webhook_receivers}</p>`}
    </div>
    <h2>Workers</h2>
    ${(workers ?? known).length === 0 && html`<${Empty} title="No worker is there"><p>Jobs wait until one comes: <code>comfyq worker</code> starts it.</p><//>`}
    <ul class="workers">
      ${workers ? workers.map((each) => html`<${Live} key=${each.id} worker=${each} />`) : known.map((each) => html`<${Known} worker=${each} />`)}
    </ul>
    <h2>Your limits</h2>
    <${Limits} quota=${quota} />
  </div>`;
}

/** @param {{ worker: LiveWorker }} props */
function Live({ worker }) {
  const faults = worker.faults.length ? worker.faults : worker.draining ? ["It finishes what it has and takes no more."] : [];
  return html`<li class="panel worker">
    <div class="section-head">
      <h3>${worker.devices.join(", ") || worker.host}</h3>
      <p class=${`status ${faults.length ? "failed" : "completed"}`}>${faults.length ? "Takes no jobs" : worker.jobs.length ? "Works" : "Free"}</p>
    </div>
    <p class="quiet">${worker.host} · ComfyUI ${worker.comfyui_version ?? "unknown"} · started ${ago(worker.since)}${worker.simulated ? " · simulated" : ""}</p>
    ${worker.family && html`<p class="quiet">Has loaded ${worker.family}</p>`}
    ${(worker.models.length > 0 || worker.fetches) && html`<p class="quiet">Holds ${several(worker.models.length, "model")}${worker.models_room === null ? "" : `, room for ${bytes(worker.models_room)} more`}</p>`}
    ${worker.foreign_prompts > 0 && html`<p>${several(worker.foreign_prompts, "prompt")} of others first</p>`}
    ${faults.map((each) => html`<p class="wrong">${each}</p>`)}
    ${worker.jobs.map(
      (job) => html`<p class="worker-job"><a href=${`#/job/${job.id}`}>${job.workflow}</a><progress max="1" value=${job.progress} aria-label=${`Progress of ${job.workflow}`}></progress></p>`,
    )}
  </li>`;
}

/** @param {{ worker: HealthWorker }} props */
function Known({ worker }) {
  return html`<li class="panel worker">
    <div class="section-head">
      <h3>${worker.devices.join(", ") || "Worker"}</h3>
      <p class=${`status ${worker.reason ? "failed" : "completed"}`}>${worker.reason ? "Takes no jobs" : "There"}</p>
    </div>
    <p class="quiet">ComfyUI ${worker.comfyui_version ?? "unknown"} · started ${ago(worker.started_at)}${worker.simulated ? " · simulated" : ""}</p>
    ${worker.reason && html`<p class="wrong">${worker.reason}</p>`}
  </li>`;
}

/** @param {{ quota: Quota }} props */
function Limits({ quota }) {
  const { jobs_per_day: day, waiting_jobs: waiting, stored_bytes: stored, output_bytes: made } = quota;
  return html`<div class="panel">
    <${Meter} name="Jobs that wait" used=${waiting.used} limit=${waiting.limit} write=${String} />
    <${Meter} name="Files that were sent" used=${stored.used} limit=${stored.limit} write=${bytes} />
    ${made && html`<${Meter} name="Outputs of jobs" used=${made.used} limit=${made.limit} write=${bytes} />`}
    ${day.limit !== null && html`<${Meter} name="Jobs today" used=${day.used ?? 0} limit=${day.limit} write=${String} />`}
    ${quota.requests.map((rate) => html`<${Meter} name=${`Requests in ${rate.window_s} s, of the ${rate.of}`} used=${rate.limit - rate.remaining} limit=${rate.limit} write=${String} />`)}
    <p class="quiet">Tenant ${quota.tenant}</p>
  </div>`;
}

/** @param {{ name: string, used: number, limit: number, write: (n: number) => string }} props */
function Meter({ name, used, limit, write }) {
  return html`<div class="meter">
    <span>${name}</span><span class="quiet">${write(used)} of ${write(limit)}</span>
    <progress max=${limit} value=${used} aria-label=${name}></progress>
  </div>`;
}
