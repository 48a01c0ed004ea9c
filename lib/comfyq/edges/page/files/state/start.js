// What every view needs first: whose jobs these are, the workflows, and the newest jobs.

import { signal } from "../lib.js";
import { recent, refreshRecent } from "./jobs.js";
import { Failure, askPatiently } from "./request.js";
import { caller } from "./session.js";
import { loadWorkflows } from "./workflows.js";

/** Why some of it could not be loaded. */
export const unloaded = signal(/** @type {Failure | null} */ (null));

export async function load() {
  unloaded.value = null;
  try {
    caller.value = await askPatiently("GET", "quota");
    await Promise.all([loadWorkflows(), recent.peek() === null && refreshRecent()]);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    unloaded.value = error;
  }
}
