// Signing in with an API key, or with a token of the issuer that the server trusts.

import { html, useEffect, useState } from "../lib.js";
import { issuer, leaveFor, trouble } from "../state/issuer.js";
import { Failure, ask } from "../state/request.js";
import { useTitle } from "../parts/hooks.js";
import { keepKey, key, refusal, takesKeys } from "../state/session.js";

export function SignInView() {
  useTitle("Sign in");
  const at = issuer;
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState(key.value ? refusal.peek() : "");
  const [lost, setLost] = useState(trouble.peek());
  useEffect(() => {
    trouble.value = ""; // it is told once
  }, []);
  /**
   * @param {() => Promise<void>} work
   * @param {(text: string) => void} tell
   */
  const attempt = (work, tell) =>
    work().catch((error) => {
      if (!(error instanceof Failure)) throw error;
      tell(error.message);
    });
  /** @param {Event} event */
  const enter = (event) => {
    event.preventDefault();
    const shown = text.trim();
    if (!shown) return;
    void attempt(async () => {
      await ask("GET", "quota", { key: shown });
      await keepKey(shown);
    }, setWrong);
  };
  return html`<main class="sign-in" id="main">
    <form class="panel" onSubmit=${enter}>
      <h1>Sign in</h1>
      ${at &&
      html`<button class="primary" type="button" onClick=${() => attempt(() => leaveFor(at), setLost)}>Sign in at ${new URL(at.issuer).host}</button>
        <p class="wrong" role="alert">${lost}</p>`}
      <p class="quiet">
        ${takesKeys
          ? html`${at ? "Or by a key." : "This server asks for a key."} Who runs the server makes one by <code>comfyq keys create NAME</code>.`
          : at ? "Or by one of its tokens." : "This server asks for a token of the issuer that it trusts."}
      </p>
      <div class="field">
        <label for="key">${takesKeys ? "API key or token" : "Token"}</label>
        <input id="key" type="password" autocomplete="off" spellcheck=${false} value=${text} aria-describedby="key-wrong" aria-invalid=${Boolean(wrong)} onInput=${(/** @type {Event} */ event) => setText(/** @type {HTMLInputElement} */ (event.target).value)} />
        <p id="key-wrong" class="wrong" role="alert">${wrong}</p>
      </div>
      <button class=${at ? "" : "primary"} type="submit">Sign in</button>
      <p class="quiet">It is kept until this tab is closed.</p>
    </form>
  </main>`;
}
