// Outputs: pictures, video, sound, text; of anything else a link.

import { html, useEffect, useRef, useState } from "../lib.js";
import { goodLink, isGood, renew } from "../state/jobs.js";
import { here } from "../state/request.js";
import { Icon } from "./icons.js";
import { attempt } from "./notices.js";
import { bytes } from "./words.js";

/** @typedef {import("../types").Job} Job */
/** @typedef {import("../types").Output} Output */

const NEAR = "400px";

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
      return html`<${DownloadLink} output=${output} look="file">
        <${Icon} name="file" /> ${output.filename} <span class="quiet">${bytes(output.size)}</span>
      <//>`;
  }
}

/**
 * A link that downloads an output, also when the page is older than the link may get.
 * @param {{ output: Output, look: string, children?: any }} props
 */
export function DownloadLink({ output, look, children }) {
  const { url, filename } = output;
  /** @param {Event} event */
  const onClick = (event) => {
    if (isGood(url)) return;
    event.preventDefault();
    void attempt(async () => {
      const link = document.createElement("a");
      link.href = await goodLink(url);
      link.download = filename;
      link.click();
    });
  };
  return html`<a class=${look} href=${here(url)} download=${filename} onClick=${onClick}>${children}</a>`;
}

/**
 * A frame of a video, loaded when it is nearly seen: browsers have no `loading` for videos.
 * @param {{ url: string, alt: string, onError: () => void }} props
 */
function VideoThumb({ url, alt, onError }) {
  const video = useRef(/** @type {HTMLVideoElement | null} */ (null));
  const [isNear, setNear] = useState(false);
  useEffect(() => {
    const watch = new IntersectionObserver(([entry]) => entry?.isIntersecting && setNear(true), { rootMargin: NEAR });
    if (video.current) watch.observe(video.current);
    return () => watch.disconnect();
  }, []);
  const src = isNear ? `${url}#t=0.1` : undefined;
  return html`<video ref=${video} src=${src} preload="metadata" muted playsinline aria-label=${alt} onError=${onError}></video>`;
}

/** @param {{ output: Output, alt: string }} props */
export function Thumb({ output, alt }) {
  const url = here(output.url);
  const onError = () => renew(url).catch(() => {});
  switch (wayOf(output)) {
    case "image":
      return html`<img src=${url} alt=${alt} loading="lazy" decoding="async" onError=${onError} />`;
    case "video":
      return html`<${VideoThumb} url=${url} alt=${alt} onError=${onError} />`;
    case "audio":
      return html`<span class="thumb-sign"><${Icon} name="sound" /><span class="sr">${alt}</span></span>`;
    default:
      return html`<span class="thumb-sign"><${Icon} name="file" /><span class="sr">${alt}</span></span>`;
  }
}
