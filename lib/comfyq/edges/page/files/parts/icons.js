// Small pictures of buttons, drawn with the text's colour.

import { html } from "../lib.js";

/** @type {Record<string, string>} */
const PATHS = {
  create: "M12 5v14M5 12h14",
  queue: "M4 6h16M4 12h10M4 18h6",
  history: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  system: "M4 5h16v6H4zM4 13h16v6H4zM7.500 8h.01M7.500 16h.01",
  keys: "M4 16a4 4 0 1 0 8 0 4 4 0 1 0-8 0M11 13l8-8M16 8l3 3",
  theme: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
  dice: "M5 5h14v14H5zM9 9h.01M15 15h.01M15 9h.01M9 15h.01",
  close: "M6 6l12 12M18 6L6 18",
  download: "M12 4v11m0 0l-4-4m4 4l4-4M5 20h14",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  again: "M19 8a8 8 0 1 0 1 6M19 3v5h-5",
  edit: "M4 20l4-1L19 8l-3-3L5 16z",
  input: "M4 4h16v16H4zM8 12h8m0 0l-3-3m3 3l-3 3",
  brush: "M20 4L9 15M9 15a3 3 0 0 0-4 3c0 1-1 2-1 2h3a3 3 0 0 0 2-5z",
  compare: "M12 3v18M4 6h5v12H4M20 6h-5v12h5",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  stop: "M7 7h10v10H7z",
  out: "M14 5h5v14h-5M4 12h10m0 0l-3-3m3 3l-3 3",
  back: "M15 5l-7 7 7 7",
  upload: "M12 20V9m0 0l-4 4m4-4l4 4M5 4h14",
  undo: "M8 5L4 9l4 4M4 9h10a5 5 0 0 1 0 10h-3",
  sound: "M5 9v6h3l5 4V5L8 9zM17 9a4 4 0 0 1 0 6",
  file: "M6 3h8l4 4v14H6zM14 3v4h4",
};

/** @param {{ name: string }} props */
export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}
