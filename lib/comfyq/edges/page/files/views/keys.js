// API keys, for administrators.

import { html, useId, useRef, useState } from "../lib.js";
import { Action } from "../parts/actions.js";
import { Dialog } from "../parts/dialog.js";
import { useLoaded, useTitle } from "../parts/hooks.js";
import { Empty, Loading, Trouble, say } from "../parts/notices.js";
import { copy } from "../parts/snippets.js";
import { ago, moment } from "../parts/words.js";
import { Failure, ask, get } from "../state/request.js";
import { caller, key, scopes, takesKeys } from "../state/session.js";

/** @typedef {import("../types").Key} Key */
/** @typedef {import("../types").NewKey} NewKey */

/** @typedef {Key["scopes"][number]} Scope */

/**
 * Every scope of the server: the types ask for each. Those that are true are ticked at first.
 * @type {Record<Scope, boolean>}
 */
const USUAL = { submit: true, graph: true, wait: true, read: true, cancel: true, metrics: false, admin: false, operator: false };
const DAY_S = 86_400;
const LIVES = [
  ["never", 0],
  ["in a day", DAY_S],
  ["in 30 days", 30 * DAY_S],
  ["in a year", 365 * DAY_S],
];

export function KeysView() {
  useTitle("Keys");
  const { value, failure, reload } = useLoaded(() => get("keys"), []);
  const [made, setMade] = useState(/** @type {NewKey | null} */ (null));
  /** @type {Key[]} */
  const keys = value?.keys ?? [];
  return html`<div class="page narrow">
    <div class="section-head"><h1>Keys</h1><p class="quiet">${caller.value ? `Tenant ${caller.value.tenant}` : ""}</p></div>
    <${Trouble} failure=${failure} />
    ${!value && !failure && html`<${Loading} of="the keys" />`}
    ${!takesKeys && html`<p>This server takes tokens of its issuer alone: a key lets nobody in.</p>`}
    ${takesKeys &&
    value &&
    html`<${NewKeyForm} done=${(/** @type {NewKey} */ key) => {
      setMade(key);
      void reload();
    }} />`}
    ${value && keys.length === 0 && html`<${Empty} title="There are no keys">${!key.value && html`<p>Who reaches this server without one is its owner.</p>`}<//>`}
    ${keys.length > 0 && html`<${KeyTable} keys=${keys} reload=${reload} />`}
    ${made && html`<${Made} made=${made} close=${() => setMade(null)} />`}
  </div>`;
}

/** In the gift of every administrator. */
const FREE = new Set(/** @type {Scope[]} */ (["submit", "read", "cancel"]));

/**
 * Whether the server would let a key have a scope that is made here: operators give all.
 * @param {Scope} scope
 */
const mayGive = (scope) => FREE.has(scope) || scopes.value.has(scope) || scopes.value.has("operator");

/** @param {Key} each whether it is the one that is signed in with: `cq_ID_SECRET` */
const isOwn = (each) => key.value.split("_")[1] === each.id;

/** @param {{ done: (key: NewKey) => void }} props */
function NewKeyForm({ done }) {
  const id = useId();
  const [failure, setFailure] = useState(/** @type {Failure | null} */ (null));
  const isBusy = useRef(false); // a second press would make another key, which nobody has seen
  /** @param {Event} event */
  const create = async (event) => {
    event.preventDefault();
    if (isBusy.current) return;
    isBusy.current = true;
    const form = /** @type {HTMLFormElement} */ (event.target);
    const data = new FormData(form);
    const lives = Number(data.get("lives"));
    setFailure(null);
    try {
      const body = { name: data.get("name"), scopes: data.getAll("scope"), expires_in_s: lives || null };
      done(await ask("POST", "keys", { body }));
      form.reset();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      setFailure(error);
    } finally {
      isBusy.current = false;
    }
  };
  return html`<form class="panel key-form" onSubmit=${create}>
    <div class="row wrap">
      <div class="field grow"><label for=${`${id}-name`}>Name</label><input id=${`${id}-name`} name="name" required maxlength="100" autocomplete="off" placeholder="laptop" /></div>
      <div class="field">
        <label for=${`${id}-lives`}>Expires</label>
        <select id=${`${id}-lives`} name="lives">${LIVES.map(([text, seconds]) => html`<option value=${seconds}>${text}</option>`)}</select>
      </div>
    </div>
    <fieldset class="scopes">
      <legend>It may</legend>
      ${Object.entries(USUAL)
        .filter(([each]) => mayGive(/** @type {Scope} */ (each)))
        .map(([each, isUsual]) => html`<label class="inline"><input type="checkbox" name="scope" value=${each} defaultChecked=${isUsual} /> ${each}</label>`)}
    </fieldset>
    <${Trouble} failure=${failure} />
    <div class="row"><button class="primary" type="submit">Make a key</button></div>
  </form>`;
}

/** @param {{ made: NewKey, close: () => void }} props */
function Made({ made, close }) {
  const give = async () => say((await copy(made.key)) ? "Copied." : "The browser does not let pages copy.");
  return html`<${Dialog} title=${`The key of ${made.name}`} close=${close}>
    <p>It is shown this once: nobody can read it again.</p>
    <p class="secret"><code>${made.key}</code></p>
    <div class="row end"><${Action} icon="copy" text="Copy" act=${give} /></div>
  <//>`;
}

/** @param {Key} each */
const isOver = (each) => each.expires_at !== null && Date.parse(each.expires_at) <= Date.now();

/** @param {{ keys: Key[], reload: () => void }} props */
function KeyTable({ keys, reload }) {
  const [leaving, setLeaving] = useState(/** @type {Key | null} */ (null));
  const revoke = async () => {
    await ask("DELETE", `keys/${leaving?.id}`);
    setLeaving(null);
    reload();
  };
  return html`<div class="scrolled" tabindex="0" role="region" aria-label="Keys">
      <table>
        <thead><tr><th>Name</th><th>May</th><th>Last used</th><th>Expires</th><th><span class="sr">Revoke</span></th></tr></thead>
        <tbody>
          ${keys.map(
            (each) => html`<tr key=${each.id}>
              <th scope="row">${each.name}${isOwn(each) && html` <span class="quiet">(yours)</span>`}</th>
              <td>${each.scopes.join(", ")}</td>
              <td>${ago(each.last_used_at)}</td>
              <td>${isOver(each) && "expired "}${moment(each.expires_at) || "never"}</td>
              <td><button type="button" aria-label=${`Revoke ${each.name}`} onClick=${() => setLeaving(each)}>Revoke</button></td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
    ${leaving &&
    html`<${Dialog} title=${`Revoke ${leaving.name}${isOwn(leaving) ? ", your own key" : ""}?`} close=${() => setLeaving(null)}>
      ${isOwn(leaving) && html`<p><strong>You are signed in with this key.</strong> This page lets you in no more: have another one at hand.</p>`}
      <p>Whoever uses it is let in no more, within seconds.</p>
      <div class="row end"><${Action} icon="trash" text="Revoke it" act=${revoke} /></div>
    <//>`}`;
}
