// Requests to the API.

import { effect, signal } from "../lib.js";
import { parsed, written } from "./json.js";
import { keepRefresh, key, refusal, renewal } from "./session.js";

/** @typedef {import("../types").Problem} Problem */
/**
 * @typedef {object} Sent
 * @property {unknown} [body] sent as JSON
 * @property {Blob} [file] sent as it is
 * @property {Record<string, string>} [headers]
 * @property {string} [key] shown instead of the one that is kept
 */

/** What addresses of the API begin with; it ends with a slash. */
export const BASE = location.pathname.replace(/[^/]*$/, "");

const AGAIN_MS = 500;
const SELDOM_MS = 4000;
const SOON_MS = 60_000; // in which a restart is over; after it a server is asked ever more seldom
const LONGEST_MS = 30_000; // that is waited, also if an answer wants more: a proxy may say an hour
const PASSING = new Set([0, 502, 503, 504]);

/** Whether the last request reached the server. */
export const reachable = signal(true);

/** What requests wait for that are sent again until the server does them, as it said the last time. */
export const delays = signal(/** @type {Failure[]} */ ([]));

/** An answer that is a problem, or no answer at all (`status` 0). */
export class Failure extends Error {
  /** @param {Pick<Problem, "status" | "code" | "detail"> & Partial<Problem>} problem */
  constructor(problem) {
    super(problem.detail);
    this.status = problem.status;
    this.code = problem.code;
    this.fields = problem.errors ?? [];
    this.afterMs = 0; // for so long the server wants to be left alone
  }

  /** Whether the same request may succeed a little later. */
  get passes() {
    return PASSING.has(this.status) && this.code !== "clock-skewed"; // no waiting mends a clock
  }
}

/**
 * Send one request; the answer's JSON. Throws a Failure.
 * @param {string} method
 * @param {string} path below BASE, without a slash before it
 * @param {Sent} [sent]
 * @returns {Promise<any>}
 */
export async function ask(method, path, sent = {}) {
  for (let isFirst = true; ; isFirst = false) {
    const shown = sent.key ?? key.value;
    try {
      return await sendOnce(method, path, sent, shown);
    } catch (error) {
      if (!(error instanceof Failure) || error.status !== 401 || sent.key !== undefined) throw error;
      const isAnother = key.value !== shown; // since meanwhile
      if (isFirst && (isAnother || (await renewal.renew()))) continue;
      if (!isFirst) keepRefresh(""); // what it brings is not taken either: it is not asked for again
      refusal.value = error.message;
      throw error;
    }
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {Sent} sent
 * @param {string} shown as whose it is sent
 * @returns {Promise<any>}
 */
async function sendOnce(method, path, { body, file, headers = {} }, shown) {
  /** @type {Record<string, string>} */
  const all = { Accept: "application/json", ...headers };
  if (shown) all.Authorization = `Bearer ${shown}`;
  if (body !== undefined) all["Content-Type"] = "application/json";
  const content = file ?? (body === undefined ? undefined : written(body));
  let answer, text;
  try {
    answer = await fetch(BASE + path, { method, headers: all, body: content ?? null });
    text = await answer.text(); // which may break off too
  } catch {
    reachable.value = false;
    throw new Failure({ status: 0, code: "unreachable", detail: "The server does not answer." });
  }
  reachable.value = true;
  const said = read(text);
  if (answer.ok && said !== undefined) return said;
  const failure = new Failure(problemOf(answer, said));
  failure.afterMs = 1000 * (Number(answer.headers.get("Retry-After")) || 0);
  throw failure;
}

/** @param {string} path */
export const get = (path) => ask("GET", path);

/**
 * Send a request until the server answers it, as over its restart. Only what may be sent twice.
 * What it waits for is told by `delays`; one that waits long is sent ever more seldom, and at once
 * when the server is back.
 * @param {string} method
 * @param {string} path
 * @param {Sent & {until?: AbortSignal}} [sent]
 * @returns {Promise<any>}
 */
export async function askPatiently(method, path, { until, ...sent } = {}) {
  const begun = Date.now();
  /** @type {Failure | null} */
  let told = null;
  try {
    for (let pause = AGAIN_MS; ; pause = Math.min(2 * pause, Date.now() - begun < SOON_MS ? SELDOM_MS : LONGEST_MS)) {
      try {
        return await ask(method, path, sent);
      } catch (error) {
        if (!(error instanceof Failure && error.passes)) throw error;
        const ms = Math.max(pause, Math.min(error.afterMs, LONGEST_MS));
        if (ms > AGAIN_MS) told = tell(error, told); // one that passes at once is not worth a word
        await paused(ms, until);
        if (until?.aborted) throw error;
      }
    }
  } finally {
    tell(null, told);
  }
}

/**
 * Tell what a request waits for now, in the place of what was told of it before.
 * @param {Failure | null} now
 * @param {Failure | null} before
 */
function tell(now, before) {
  if (now || before) delays.value = [...delays.value.filter((each) => each !== before), ...(now ? [now] : [])];
  return now;
}

/**
 * Wait, but no longer than until a server is back that is away, or than anybody wants the answer.
 * @param {number} ms
 * @param {AbortSignal} [until]
 * @returns {Promise<void>}
 */
function paused(ms, until) {
  let isAway = false;
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      until?.removeEventListener("abort", end);
      stop();
      resolve();
    };
    const timer = setTimeout(end, ms);
    until?.addEventListener("abort", end);
    const stop = effect(() => {
      if (!reachable.value) isAway = true;
      else if (isAway) end();
    });
  });
}

/** A random name for a request, under which it is obeyed once however often it is sent. */
export function newName() {
  // crypto.randomUUID is not there on pages that came by plain HTTP from another machine
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * The address of an output on the server that this page is from, whatever name the API gave it.
 * @param {string} url
 */
export function here(url) {
  const at = url.indexOf("/generate/");
  return at < 0 ? url : BASE + url.slice(at + 1);
}

/**
 * What a body says; undefined if it is no JSON.
 * @param {string} text
 */
function read(text) {
  try {
    return text === "" ? null : parsed(text);
  } catch {
    return undefined;
  }
}

/**
 * The problem that an answer tells, or is.
 * @param {Response} answer
 * @param {any} said
 * @returns {Problem}
 */
function problemOf(answer, said) {
  const detail = answer.ok
    ? "This is no answer of comfyq: something between it and the page may have given it."
    : `The server answered ${answer.status} ${answer.statusText}.`;
  const told = typeof said?.detail === "string" ? said : {};
  return { code: "unknown", detail, ...told, status: answer.status };
}
