// Two jobs beside or over each other, and in what they differ.

import { html, useState } from "../lib.js";
import { madeBy, nameOf } from "../parts/card.js";
import { useLoaded, useTitle } from "../parts/hooks.js";
import { Media, mainOutput, wayOf } from "../parts/media.js";
import { Empty, Loading, Trouble } from "../parts/notices.js";
import { shown } from "../parts/words.js";
import { learn } from "../state/jobs.js";
import { get, here } from "../state/request.js";
import { route } from "../state/route.js";

/** @typedef {import("../types").Story} Story */

/** @param {string} id @returns {Promise<Story>} */
async function load(id) {
  const [story, job] = await Promise.all([get(`generate/${id}/story`), get(`generate/${id}`)]);
  learn(job);
  return { ...story, outputs: job.outputs };
}

export function CompareView() {
  useTitle("Compare");
  const [one = "", other = ""] = route.value.parts;
  const { value, failure } = useLoaded(() => Promise.all([load(one), load(other)]), [one, other]);
  const [isOver, setOver] = useState(false);
  if (failure) return html`<div class="page"><h1>Compare</h1><${Trouble} failure=${failure} /></div>`;
  if (!value) return html`<div class="page"><${Loading} of="both jobs" /></div>`;
  const outputs = value.flatMap((each) => mainOutput(each) ?? []);
  const arePictures = outputs.length === 2 && outputs.every((each) => wayOf(each) === "image");
  return html`<div class="page">
    <div class="section-head">
      <h1>Compare</h1>
      ${arePictures && html`<button type="button" class="chip" aria-pressed=${isOver} onClick=${() => setOver(!isOver)}>Lay over each other</button>`}
    </div>
    ${arePictures && isOver
      ? html`<${Over} stories=${value} />`
      : html`<div class="pair">
          ${value.map(
            (story) => html`<figure>
              <div class="stage">${mainOutput(story) ? html`<${Media} output=${mainOutput(story)} alt=${nameOf(story)} />` : html`<${Empty} title="It has made nothing" />`}</div>
              <figcaption><a href=${`#/job/${story.id}`}>${nameOf(story)}</a><br /><span class="quiet">${madeBy(story)}</span></figcaption>
            </figure>`,
          )}
        </div>`}
    <${Differences} one=${value[0]} other=${value[1]} />
  </div>`;
}

/** @param {{ stories: Story[] }} props */
function Over({ stories }) {
  const [part, setPart] = useState(50);
  const [below, above] = stories.map((each) => here(mainOutput(each)?.url ?? ""));
  return html`<div class="over">
    <div class="stage layered">
      <img src=${below} alt=${stories[0] && nameOf(stories[0])} />
      <img src=${above} alt=${stories[1] && nameOf(stories[1])} style=${{ clipPath: `inset(0 0 0 ${part}%)` }} />
    </div>
    <input type="range" min="0" max="100" value=${part} aria-label="How much of the first is seen" onInput=${(/** @type {Event} */ event) => setPart(Number(/** @type {HTMLInputElement} */ (event.target).value))} />
  </div>`;
}

/** @param {{ one: Story, other: Story }} props */
function Differences({ one, other }) {
  const all = { workflow: one.workflow, ...one.parameters };
  const others = { workflow: other.workflow, ...other.parameters };
  const names = [...new Set([...Object.keys(all), ...Object.keys(others)])];
  const value = (/** @type {Record<string, any>} */ of, /** @type {string} */ name) => shown(of[name]);
  const differing = names.filter((name) => value(all, name) !== value(others, name));
  if (differing.length === 0) return html`<p class="quiet">They have the same parameters.</p>`;
  return html`<table>
    <caption>What differs</caption>
    <thead><tr><th>Parameter</th><th>First</th><th>Second</th></tr></thead>
    <tbody>${differing.map((name) => html`<tr><th scope="row">${name}</th><td>${value(all, name)}</td><td>${value(others, name)}</td></tr>`)}</tbody>
  </table>`;
}
