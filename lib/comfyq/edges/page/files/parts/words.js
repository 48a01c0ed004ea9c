// Numbers and times as people read them.

import { signal } from "../lib.js";
import { written } from "../state/json.js";

const SIZES = ["bytes", "KB", "MB", "GB", "TB"];
const STEP = 1000;
const TICK_MS = 20_000;

/** @type {[number, string][]} */
const SPANS = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
  [1, "s"],
];

/** @type {Record<string, string>} */
const STATUSES = {
  queued: "Queued",
  running: "Running",
  completed: "Completed",
  failed: "Failed",
  canceled: "Canceled",
};

/** @param {{ status: string, cancel_requested?: boolean }} job */
export function statusOf({ status, cancel_requested: asked }) {
  return asked && (status === "running" || status === "queued") ? "Canceling" : STATUSES[status] ?? status;
}

/** @param {number} seconds */
export function span(seconds) {
  const [length, unit] = SPANS.find(([least]) => seconds >= least) ?? [1, "s"];
  return `${Math.round(seconds / length)} ${unit}`;
}

const ticks = signal(0);
setInterval(() => ticks.value++, TICK_MS);

/**
 * How long ago it was; a view that says so is drawn anew as time goes on.
 * @param {string | null | undefined} time
 */
export function ago(time) {
  if (!time) return "never";
  void ticks.value;
  const seconds = (Date.now() - Date.parse(time)) / 1000;
  return seconds < 5 ? "just now" : `${span(seconds)} ago`;
}

/** @param {string | null | undefined} time */
export const moment = (time) => (time ? new Date(time).toLocaleString() : "");

/** @param {number} count */
export function bytes(count) {
  const power = Math.min(SIZES.length - 1, Math.floor(Math.log(Math.max(1, count)) / Math.log(STEP)));
  const shown = count / STEP ** power;
  return `${shown < 10 && power ? shown.toFixed(1) : Math.round(shown)} ${SIZES[power]}`;
}

/**
 * @param {number} count
 * @param {string} noun
 */
export const several = (count, noun) => `${count.toLocaleString()} ${noun}${count === 1 ? "" : "s"}`;

/** @param {unknown} value */
export function shown(value) {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map(String).join(", ") || "–";
  return typeof value === "object" ? written(value) : String(value);
}
