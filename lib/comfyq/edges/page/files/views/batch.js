// A batch as a grid: a row for each value that was varied, a tile for each request.

import { html, useEffect } from "../lib.js";
import { Action } from "../parts/actions.js";
import { Card } from "../parts/card.js";
import { useLoaded, usePolled, useTitle } from "../parts/hooks.js";
import { Loading, Trouble } from "../parts/notices.js";
import { several } from "../parts/words.js";
import { learn, watchBatch } from "../state/jobs.js";
import { ROW } from "../state/labels.js";
import { ask, get } from "../state/request.js";
import { go, route } from "../state/route.js";
import { may } from "../state/session.js";
import { connected } from "../state/socket.js";

/** @typedef {import("../types").Batch} Batch */
/** @typedef {NonNullable<Batch["items"]>[number]} Item */

/** @param {string} id @returns {Promise<Batch>} */
async function load(id) {
  const batch = await get(`generate/batch/${id}?items=true`);
  for (const { job } of batch.items) if (job) learn(job);
  return batch;
}

const LOOK_MS = 4000; // where nothing tells of changes

export function BatchView() {
  useTitle("Batch");
  const id = route.value.parts[0] ?? "";
  const { value: batch, failure, reload } = useLoaded(() => load(id), [id]);
  useEffect(() => watchBatch(id, reload), [id]);
  usePolled(() => {
    if (!batch?.done && !connected.peek()) void reload();
  }, LOOK_MS);
  if (failure && !batch) return html`<div class="page"><h1>Batch</h1><${Trouble} failure=${failure} /></div>`;
  if (!batch) return html`<div class="page"><${Loading} of="the batch" /></div>`;
  const { counts } = batch;
  const failed = (counts.failed ?? 0) + (counts.canceled ?? 0);
  return html`<div class="page">
    <div class="section-head">
      <h1>Batch of ${batch.size}</h1>
      <div class="row">
        ${!batch.done && may("cancel") && html`<${Action} icon="stop" text="Cancel all" isDisabled=${batch.canceled} act=${() => ask("DELETE", `generate/batch/${id}`).then(reload)} />`}
        ${batch.done && failed > 0 && may("submit") && html`<${Action} icon="again" text=${`Try ${several(failed, "job")} again`} act=${() => retryAll(id)} />`}
      </div>
    </div>
    <div class="batch-head panel">
      <progress max="1" value=${batch.progress} aria-label="Progress of the batch"></progress>
      <p class="quiet" role="status">${wordsOf(counts)}</p>
    </div>
    ${rowsOf(batch.items ?? []).map(
      ([row, items]) => html`<section key=${row}>
        ${row && html`<h2 class="row-name">${row}</h2>`}
        <ul class="grid">${items.map((item) => html`<${Tile} key=${item.index} item=${item} />`)}</ul>
      </section>`,
    )}
  </div>`;
}

/** @param {string} id */
async function retryAll(id) {
  const made = await ask("POST", `generate/batch/${id}/retry`);
  go(`batch/${made.batch_id}`);
}

/** @param {Batch["counts"]} counts */
const wordsOf = (counts) =>
  Object.entries(counts)
    .filter(([, count]) => count)
    .map(([state, count]) => `${count} ${state}`)
    .join(" · ");

/**
 * @param {Item[]} items
 * @returns {[string, Item[]][]}
 */
function rowsOf(items) {
  const rows = new Map(/** @type {[string, Item[]][]} */ ([]));
  for (const item of items) {
    const row = item.job?.labels?.[ROW] ?? "";
    rows.set(row, [...(rows.get(row) ?? []), item]);
  }
  return [...rows];
}

/** @param {{ item: Item }} props */
function Tile({ item }) {
  if (item.job) return html`<${Card} id=${item.job.id} />`;
  const [state, word] = item.error ? ["failed", "Refused"] : ["", "Queued"];
  return html`<li class="card">
    <div>
      <span class="tile"><span class=${`tile-state ${state}`}>${word}</span></span>
      ${
        item.error
          ? html`<p class="wrong">${item.error.detail}</p>`
          : html`<p class="card-text"><span class="quiet">Its job is being stored</span></p>`
      }
    </div>
  </li>`;
}
