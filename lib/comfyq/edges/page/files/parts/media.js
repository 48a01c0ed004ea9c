// Outputs: pictures, video, sound, text; of anything else a link.

import { html } from "../lib.js";
import { renew } from "../state/jobs.js";
import { here } from "../state/request.js";
import { Icon } from "./icons.js";
import { bytes } from "./words.js";

/** @typedef {import("../types").Job} Job */
/** @typedef {import("../types").Output} Output */

/**
 * What a browser can show of an output.
 * @param {Output} output
 */
export function wayOf({ content_type: type, text }) {
  const family = type.split("/")[0] ?? "";
  if (family === "image" && !type.includes("svg")) return "image";
  if (family === "video" || family === "audio") return family;
  return text === null || text === undefined ? "file" : "text";
}

/**
 * The output of a job that stands for it.
 * @param {Job} job
 */
export function mainOutput(job) {
  const outputs = job.outputs ?? [];
  return outputs.find((each) => wayOf(each) !== "file") ?? outputs[0];
}

/** @param {{ output: Output, alt: string }} props */
export function Media({ output, alt }) {
  const url = here(output.url);
  const onError = () => renew(url).catch(() => {}); // the link may have expired
  switch (wayOf(output)) {
    case "image":
      return html`<img src=${url} alt=${alt} decoding="async" onError=${onError} />`;
    case "video":
      return html`<video src=${url} controls loop muted playsinline aria-label=${alt} onError=${onError}></video>`;
    case "audio":
      return html`<audio src=${url} controls aria-label=${alt} onError=${onError}></audio>`;
    case "text":
      return html`<pre class="text-output" tabindex="0">${output.text}</pre>`;
    default:
      return html`<a class="file" href=${url} download=${output.filename}>
        <${Icon} name="file" /> ${output.filename} <span class="quiet">${bytes(output.size)}</span>
      </a>`;
  }
}

/** @param {{ output: Output, alt: string }} props */
export function Thumb({ output, alt }) {
  const url = here(output.url);
  const onError = () => renew(url).catch(() => {});
  switch (wayOf(output)) {
    case "image":
      return html`<img src=${url} alt=${alt} loading="lazy" decoding="async" onError=${onError} />`;
    case "video":
      return html`<video src=${`${url}#t=0.1`} preload="metadata" muted playsinline aria-label=${alt}></video>`;
    case "audio":
      return html`<span class="thumb-sign"><${Icon} name="sound" /><span class="sr">${alt}</span></span>`;
    default:
      return html`<span class="thumb-sign"><${Icon} name="file" /><span class="sr">${alt}</span></span>`;
  }
}
