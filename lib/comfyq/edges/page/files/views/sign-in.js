// Signing in with an API key, or with a token of the issuer that the server trusts.

import { html, useState } from "../lib.js";
import { Failure, ask } from "../state/request.js";
import { useTitle } from "../parts/hooks.js";
import { keepKey, key, refusal } from "../state/session.js";

export function SignInView() {
  useTitle("Sign in");
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState(key.value ? refusal.peek() : "");
  /** @param {Event} event */
  const enter = async (event) => {
    event.preventDefault();
    const shown = text.trim();
    if (!shown) return;
    try {
      await ask("GET", "quota", { key: shown });
      keepKey(shown);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      setWrong(error.message);
    }
  };
  return html`<main class="sign-in" id="main">
    <form class="panel" onSubmit=${enter}>
      <h1>Sign in</h1>
      <p class="quiet">This server asks for a key. Who runs it makes one by <code>comfyq keys create NAME</code>.</p>
      <div class="field">
        <label for="key">API key or token</label>
        <input id="key" type="password" autocomplete="off" spellcheck=${false} value=${text} aria-describedby="key-wrong" aria-invalid=${Boolean(wrong)} onInput=${(/** @type {Event} */ event) => setText(/** @type {HTMLInputElement} */ (event.target).value)} />
        <p id="key-wrong" class="wrong" role="alert">${wrong}</p>
      </div>
      <button class="primary" type="submit">Sign in</button>
      <p class="quiet">It is kept until this tab is closed.</p>
    </form>
  </main>`;
}
