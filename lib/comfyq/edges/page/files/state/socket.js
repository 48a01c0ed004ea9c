// The socket that changes of jobs and batches come by. It is opened anew whenever it breaks, and
// goes on from what was seen.

import { effect, signal } from "../lib.js";
import { BASE, Failure, ask } from "./request.js";
import { key, refusal } from "./session.js";

/** @typedef {import("../types").ProgressFrame} ProgressFrame */
/** @typedef {import("../types").PreviewFrame} PreviewFrame */
/** @typedef {import("../types").BatchFrame} BatchFrame */
/**
 * @typedef {object} Listener
 * @property {(frame: ProgressFrame) => void} job
 * @property {(frame: PreviewFrame) => void} preview
 * @property {(frame: BatchFrame) => void} batch
 * @property {() => void} opened again, so that something may have been missed
 */

const MOST_AT_ONCE = 100; // jobs that one frame names
const PING_MS = 240_000; // what is silent for ten minutes is closed
const AGAIN_MS = 400;
const SELDOM_MS = 5000;

/** Whether changes are pushed at the moment. */
export const connected = signal(false);

const jobs = new Map(/** @type {[string, number][]} */ ([])); // by id, the `seq` that was seen
const batches = new Set(/** @type {string[]} */ ([]));
/** @type {Listener | null} */
let listener = null;
/** @type {WebSocket | null} */
let socket = null;
let pause = AGAIN_MS;
let opening = false;

/** @param {Listener} told */
export function listen(told) {
  listener = told;
  effect(() => {
    if (refusal.value === null && key.value !== undefined) void open();
  });
  setInterval(() => send({ action: "ping" }), PING_MS);
}

/**
 * @param {string} id
 * @param {number} seq that was seen
 */
export function followJob(id, seq) {
  const isNew = !jobs.has(id);
  jobs.set(id, seq);
  if (isNew) send({ action: "subscribe", job_id: id, since: seq, previews: true });
}

/** @param {string} id */
export function leaveJob(id) {
  if (jobs.delete(id)) send({ action: "unsubscribe", job_id: id });
}

/** @param {string} id */
export function followBatch(id) {
  batches.add(id);
  send({ action: "subscribe", batch_id: id });
}

/** @param {string} id */
export function leaveBatch(id) {
  if (batches.delete(id)) send({ action: "unsubscribe", batch_id: id });
}

/** @param {object} frame */
function send(frame) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}

async function open() {
  if (opening || socket || refusal.peek() !== null) return;
  opening = true;
  try {
    const { ticket } = await ask("POST", "ws-ticket", { body: {} }); // a handshake shows no key
    const url = new URL(`${BASE}local`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    url.search = `?ticket=${ticket}`;
    take(new WebSocket(url));
  } catch (error) {
    if (!(error instanceof Failure && error.status === 401)) later();
  } finally {
    opening = false;
  }
}

/** @param {WebSocket} made */
function take(made) {
  socket = made;
  made.onopen = () => {
    pause = AGAIN_MS;
    connected.value = true;
    subscribeAll();
    listener?.opened();
  };
  made.onmessage = (message) => hear(JSON.parse(message.data));
  made.onclose = () => {
    socket = null;
    connected.value = false;
    later();
  };
}

function subscribeAll() {
  follow([...jobs.keys()]);
  for (const id of batches) send({ action: "subscribe", batch_id: id });
}

/** @param {string[]} ids of jobs */
function follow(ids) {
  for (let start = 0; start < ids.length; start += MOST_AT_ONCE) {
    const some = ids.slice(start, start + MOST_AT_ONCE);
    const since = Object.fromEntries(some.map((id) => [id, jobs.get(id)]));
    send({ action: "subscribe", job_ids: some, since, previews: true });
  }
}

function later() {
  setTimeout(() => void open(), pause * (0.5 + Math.random()));
  pause = Math.min(2 * pause, SELDOM_MS);
}

/** @param {any} frame */
function hear(frame) {
  if (frame.kind === "preview") listener?.preview(frame);
  else if (frame.kind === "batch") listener?.batch(frame);
  else if (frame.kind) {
    if (jobs.has(frame.job_id)) jobs.set(frame.job_id, frame.seq);
    listener?.job(frame);
  } else if (frame.code === "rate-limited") setTimeout(() => again(frame), 1000 * frame.retry_after_s);
  else if (frame.type === "error" && frame.job_id) refused(frame);
}

/**
 * Follow what was too much at once, unless it was left meanwhile.
 * @param {{ job_id?: string, job_ids?: string[], batch_id?: string }} error
 */
function again({ job_id, job_ids, batch_id }) {
  follow((job_ids ?? [job_id ?? ""]).filter((id) => jobs.has(id)));
  if (batch_id && batches.has(batch_id)) send({ action: "subscribe", batch_id });
}

/**
 * Follow a job no more that cannot be followed; one that could only not be read now is asked for again.
 * @param {{ code?: string, job_id: string }} error
 */
function refused({ code, job_id: id }) {
  if (!code?.endsWith("-unavailable")) jobs.delete(id);
  else setTimeout(() => jobs.has(id) && send({ action: "subscribe", job_id: id, since: jobs.get(id), previews: true }), SELDOM_MS);
}
