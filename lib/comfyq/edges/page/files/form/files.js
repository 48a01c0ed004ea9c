// Files of a form: dropped, chosen or pasted, and sent at once, so that the request names them.

import { html, useRef, useState } from "../lib.js";
import { Icon } from "../parts/icons.js";
import { bytes } from "../parts/words.js";
import { Failure, askPatiently } from "../state/request.js";
import { fileOf, keepFile, sending } from "../state/files.js";
import { MaskPainter } from "./mask.js";

/** @typedef {import("../types").Control} Control */
/** @typedef {import("../types").Asset} Asset */
/** @typedef {import("../types").Workflow} Workflow */
/** @typedef {import("../types").Values} Values */

/** @type {Record<string, string>} */
const ACCEPT = { image: "image/*", mask: "image/*", video: "video/*", audio: "audio/*" };

const PICTURES = new Set(["image", "mask"]);
const TIFF = /^(II[*+]\0|MM\0[*+])/; // what workers read though most browsers do not show it

/** @param {Blob} file */
async function isPicture(file) {
  if (TIFF.test(String.fromCharCode(...new Uint8Array(await file.slice(0, 4).arrayBuffer())))) return true;
  try {
    (await createImageBitmap(file)).close();
    return true;
  } catch {
    return false; // no picture, or half of one
  }
}

/**
 * Send a file; what a request says where it takes it.
 * @param {Blob} file
 * @param {string} name
 */
export async function upload(file, name) {
  const headers = { "Content-Type": file.type || "application/octet-stream" };
  sending.value++;
  try {
    /** @type {Asset} */
    const asset = await askPatiently("POST", `assets?filename=${encodeURIComponent(name)}`, { file, headers });
    keepFile(asset.source, file, name);
    return asset.source;
  } finally {
    sending.value--;
  }
}

/** @param {Control & { workflow: Workflow, values: Values }} control */
export function FileControl({ field, id, describedBy, invalid, required, value, set, workflow, values }) {
  const [isOver, setOver] = useState(false);
  const [isSending, setSending] = useState(false);
  const [isPainting, setPainting] = useState(false);
  const [wrong, setWrong] = useState("");
  const chooser = useRef(/** @type {HTMLInputElement | null} */ (null));
  const kind = field["x-kind"] ?? "image";
  const source = typeof value === "string" ? value : value && typeof value === "object" && "source" in value ? value.source : "";
  const picture = kind === "mask" ? pictureOf(workflow, values) : "";

  /** @param {Blob | null | undefined} file */
  const take = async (file) => {
    if (!file || isSending) return;
    const named = file instanceof File ? file.name : `${kind}.png`;
    setWrong("");
    setSending(true);
    try {
      if (!PICTURES.has(kind) || (await isPicture(file))) set(await upload(file, named));
      else setWrong(`${named} is no picture that can be read, so it was not sent. Choose a PNG, JPEG, WebP or TIFF.`);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      setWrong(error.message);
    } finally {
      setSending(false);
    }
  };

  /** @param {DragEvent} event */
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    void take(event.dataTransfer?.files[0]);
  };

  return html`<div
    class=${`drop ${isOver ? "over" : ""} ${source ? "full" : ""}`}
    onDragOver=${(/** @type {DragEvent} */ event) => {
      event.preventDefault();
      setOver(true);
    }}
    onDragLeave=${() => setOver(false)}
    onDrop=${drop}
    onPaste=${(/** @type {ClipboardEvent} */ event) => void take(event.clipboardData?.files[0])}
  >
    <${Shown} source=${source} kind=${kind} />
    <div class="row">
      <button type="button" id=${id} aria-describedby=${describedBy} disabled=${isSending} onClick=${() => chooser.current?.click()}>
        <${Icon} name="upload" /> ${isSending ? "Sending …" : source ? "Replace" : `Choose or drop a file${required ? "" : " (optional)"}`}
      </button>
      ${kind === "mask" &&
      html`<button type="button" disabled=${!picture} title=${picture ? "" : "Choose the picture first"} onClick=${() => setPainting(true)}>
        <${Icon} name="brush" /> Paint
      </button>`}
      ${source &&
      html`<button type="button" class="icon-button" aria-label=${`Remove the ${kind}`} onClick=${() => set(undefined)}>
        <${Icon} name="close" />
      </button>`}
    </div>
    <input
      ref=${chooser}
      type="file"
      hidden
      accept=${ACCEPT[kind]}
      aria-invalid=${invalid}
      aria-label=${field.title ?? kind}
      onChange=${(/** @type {Event} */ event) => {
        const input = /** @type {HTMLInputElement} */ (event.target);
        void take(input.files?.[0]);
        input.value = "";
      }}
    />
    <p class="wrong" role="alert">${wrong}</p>
    ${isPainting &&
    html`<${MaskPainter} picture=${picture} close=${() => setPainting(false)} done=${(/** @type {Blob} */ mask) => void take(mask)} />`}
  </div>`;
}

/**
 * The picture that a mask is for, as an address; empty: it is not here.
 * @param {Workflow} workflow
 * @param {Values} values
 */
function pictureOf(workflow, values) {
  const name = Object.keys(workflow.fields).find((each) => workflow.fields[each]?.["x-kind"] === "image");
  const source = name ? values[name] : "";
  return typeof source === "string" ? fileOf(source)?.url ?? "" : "";
}

/** @param {{ source: string, kind: string }} props */
function Shown({ source, kind }) {
  const file = fileOf(source);
  if (!source) return null;
  if (!file) return html`<p class="quiet one-line">${source}</p>`;
  const alt = `Chosen ${kind}: ${file.name}`;
  return html`<figure>
    ${kind === "image" || kind === "mask" ? html`<img src=${file.url} alt=${alt} />` : html`<${Icon} name="file" />`}
    <figcaption class="quiet one-line">${file.name} · ${bytes(file.size)}</figcaption>
  </figure>`;
}
