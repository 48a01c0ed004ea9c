// The jobs that the page knows, each a signal that whoever shows it follows.

import { batch, signal } from "../lib.js";
import { Failure, ask, askPatiently, get, here, newName } from "./request.js";
import { followBatch, followJob, leaveBatch, leaveJob, listen } from "./socket.js";
import { workflowOf } from "./workflows.js";

/** @typedef {import("../types").Job} Job */
/** @typedef {import("../types").JobList} JobList */
/** @typedef {import("../types").ProgressFrame} ProgressFrame */
/** @typedef {import("../types").Values} Values */

const RECENT = 24;
const FRESH_MS = 300_000; // for so long a link to an output is to be good at least
const CLICK_MS = 5000; // and for so long one that is followed now
const MORE_MS = 1500; // between looks at a batch whose jobs change

const jobs = new Map(/** @type {[string, import("../vendor/signals.js").Signal<Job>][]} */ ([]));
const previews = new Map(/** @type {[string, import("../vendor/signals.js").Signal<string>][]} */ ([]));

/** Ids of the newest jobs; null until they are known. */
export const recent = signal(/** @type {string[] | null} */ (null));

/** The job that is shown large on the first page. */
export const chosen = signal("");

/** What has just happened, for who cannot see it. */
export const news = signal("");

/** Ids of jobs that were asked for again in the last minutes. */
const renewed = new Set();

/** @type {Map<string, () => void>} */
const batchViews = new Map();

/** @param {Job} job */
export const hasEnded = (job) => job.status !== "queued" && job.status !== "running";

/** @param {string} id */
export const jobSignal = (id) => jobs.get(id);

/**
 * What samplers have so far, as an address of a picture; empty: nothing was sent yet.
 * @param {string} id
 */
export function previewOf(id) {
  const known = previews.get(id) ?? signal("");
  previews.set(id, known);
  return known;
}

/**
 * Take what an answer says of a job, unless something newer is known; its signal.
 * @param {Job} job
 */
export function learn(job) {
  let known = jobs.get(job.id);
  if (!known) {
    known = signal(job);
    jobs.set(job.id, known);
  } else if (isNewer(job, known.value)) known.value = job;
  if (hasEnded(known.value)) leaveJob(job.id);
  else followJob(job.id, known.value.seq);
  return known;
}

/**
 * Take a page of jobs; their ids.
 * @param {JobList} page
 */
export function learnAll(page) {
  return batch(() => page.jobs.map((job) => learn(job).value.id));
}

/** @param {string} id */
export async function fetchJob(id) {
  return learn(await askPatiently("GET", `generate/${id}`));
}

/**
 * Look at a job once, as where the socket does not tell of it.
 * @param {string} id
 */
export async function lookAt(id) {
  learn(await get(`generate/${id}`));
}

/**
 * How long a link to an output is good still.
 * @param {string} [url]
 */
function leftMs(url) {
  const expires = new URLSearchParams(url?.split("?")[1]).get("expires");
  return expires === null ? Infinity : Number(expires) * 1000 - Date.now();
}

/** @param {string} url of an output */
export const isGood = (url) => leftMs(url) > CLICK_MS;

/**
 * The address of an output, asked for anew if its link is about to expire.
 * @param {string} url
 */
export async function goodLink(url) {
  const id = idOf(url);
  if (isGood(url) || !id) return here(url);
  /** @type {Job} */
  const job = await get(`generate/${id}`);
  const known = jobs.get(id);
  if (known) known.value = job;
  const [path] = url.split("?");
  return here((job.outputs ?? []).find((each) => each.url.split("?")[0] === path)?.url ?? url);
}

/** @param {string} url of an output */
const idOf = (url) => /\/generate\/([^/]+)\/outputs\//.exec(url)?.[1] ?? "";

/**
 * Ask for a job again because a link to an output of it did not lead to it.
 * @param {string} url
 */
export async function renew(url) {
  const id = idOf(url);
  const known = jobs.get(id);
  if (!known || renewed.has(id)) return;
  renewed.add(id);
  setTimeout(() => renewed.delete(id), FRESH_MS);
  known.value = await askPatiently("GET", `generate/${id}`);
}

/** Look at the newest jobs, which other clients may have made. */
export async function refreshRecent() {
  recent.value = learnAll(await get(`generate?limit=${RECENT}`));
}

/**
 * Run a workflow; throws a Failure. It is sent again over a restart, and makes one job all the same.
 * @param {string} workflow
 * @param {Values} values
 */
export async function submit(workflow, values) {
  const headers = { "Idempotency-Key": newName() };
  const path = `workflows/${encodeURIComponent(workflow)}/generate`;
  return show(await askPatiently("POST", path, { body: values, headers }));
}

/** @param {Job} job that was just made */
function show(job) {
  learn(job);
  recent.value = [job.id, ...(recent.value ?? []).filter((id) => id !== job.id)];
  chosen.value = job.id;
  news.value = "Submitted.";
  return job.id;
}

/**
 * Run many requests as one batch; its id.
 * @param {Record<string, unknown>[]} requests
 * @returns {Promise<string>}
 */
export async function submitBatch(requests) {
  const headers = { "Idempotency-Key": newName() };
  const made = await askPatiently("POST", "generate/batch", { body: { requests }, headers });
  return made.batch_id;
}

/** @param {string} id */
export async function cancel(id) {
  learn(await ask("DELETE", `generate/${id}`));
  news.value = "Cancellation requested.";
}

/**
 * Delete a job with its files.
 * @param {string} id
 */
export async function purge(id) {
  await ask("DELETE", `generate/${id}?purge=true`);
  recent.value = recent.value?.filter((each) => each !== id) ?? null;
  if (chosen.value === id) chosen.value = "";
  jobs.delete(id); // whoever kept its id shows nothing for it
}

/**
 * Try a job again that has failed or was canceled; the new job's id.
 * @param {string} id
 */
export async function retry(id) {
  return show(await ask("POST", `generate/${id}/retry`));
}

/**
 * Run a job's workflow with the same values and other seeds; the new job's id.
 * @param {Job} job
 */
export async function again(job) {
  const [story, workflow] = await Promise.all([
    get(`generate/${job.id}/story`),
    workflowOf(job.workflow),
  ]);
  const values = { ...story.parameters };
  for (const [name, field] of Object.entries(workflow.fields)) {
    if (field["x-kind"] === "seed") delete values[name];
  }
  return submit(job.workflow, values);
}

/**
 * Call `look` when jobs of a batch have changed, not too often; what it returns ends that.
 * @param {string} id
 * @param {() => void} look
 */
export function watchBatch(id, look) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let waiting;
  batchViews.set(id, () => {
    waiting ??= setTimeout(() => {
      waiting = undefined;
      look();
    }, MORE_MS);
  });
  followBatch(id);
  return () => {
    clearTimeout(waiting);
    batchViews.delete(id);
    leaveBatch(id);
  };
}

/** Begin to be told of changes. */
export function begin() {
  listen({
    job: heard,
    preview: (frame) => {
      const job = jobs.get(frame.job_id)?.value;
      if (job && !hasEnded(job)) {
        previewOf(frame.job_id).value = `data:${frame.content_type};base64,${frame.data}`;
      }
    },
    batch: (frame) => batchViews.get(frame.batch_id)?.(),
    opened: () => {
      for (const look of batchViews.values()) look();
      if (recent.value) refreshRecent().catch(() => {});
    },
  });
}

/** @param {ProgressFrame} frame */
function heard(frame) {
  const known = jobs.get(frame.job_id);
  if (!known || hasEnded(known.value)) return;
  const { kind: _kind, job_id: _id, message: _message, ...told } = frame;
  const job = { ...known.value, ...told };
  if (!isNewer(job, known.value)) return;
  known.value = job;
  if (hasEnded(job)) {
    previewOf(job.id).value = "";
    news.value = `${job.workflow}: ${job.status}.`;
    fetchJob(job.id).catch((error) => {
      if (!(error instanceof Failure)) throw error;
    });
  }
}

/**
 * @param {Job} job
 * @param {Job} old
 */
function isNewer(job, old) {
  if (hasEnded(job)) return !hasEnded(old) || hasMore(job, old);
  if (hasEnded(old)) return false;
  return job.seq > old.seq || (job.seq === old.seq && job.progress >= old.progress);
}

/**
 * Whether one answer of an ended job has more than another. Its links differ in each answer: to take
 * them each time would load all pictures again.
 * @param {Job} job
 * @param {Job} old
 */
function hasMore(job, old) {
  const [outputs, known] = [job.outputs ?? [], old.outputs ?? []];
  const isFresh = known.length > 0 && leftMs(known[0]?.url) > FRESH_MS;
  return outputs.length > known.length || (outputs.length === known.length && !isFresh);
}
