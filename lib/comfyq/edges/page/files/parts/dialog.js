// A window over the page. The browser keeps the focus in it, and closes it on Escape.

import { html, useEffect, useId, useRef } from "../lib.js";
import { Icon } from "./icons.js";
import { Toasts, windows } from "./notices.js";

/** @param {{ title: string, wide?: boolean, close: () => void, children?: any }} props */
export function Dialog({ title, wide = false, close, children }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const id = useId();
  useEffect(() => {
    dialog.current?.showModal();
    windows.value++;
    return () => {
      windows.value--;
    };
  }, []);
  return html`<dialog ref=${dialog} class=${wide ? "wide" : ""} aria-labelledby=${id} onClose=${close}>
    <header>
      <h2 id=${id}>${title}</h2>
      <button type="button" class="icon-button" aria-label="Close" onClick=${() => dialog.current?.close()}>
        <${Icon} name="close" />
      </button>
    </header>
    ${children}
    <${Toasts} />
  </dialog>`;
}
