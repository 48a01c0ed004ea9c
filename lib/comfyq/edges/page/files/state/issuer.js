// Signing in at an issuer of OpenID Connect, by authorization code and PKCE (RFC 7636): the page is
// a public client there. Tokens are checked by the server; here it is checked that they are of this
// tab's own sign-in.

import { signal } from "../lib.js";
import { keep, kept } from "./kept.js";
import { BASE, Failure, ask, newName } from "./request.js";
import { replaceBy } from "./route.js";
import { keepKey, key } from "./session.js";

/** @typedef {{ issuer: string, client: string, scope: string }} Issuer */
/** @typedef {{ state: string, nonce: string, verifier: string, endpoint: string, hash: string }} Begun */

const KEPT = "comfyq.sign-in"; // on the way to the issuer and back
const WELL_KNOWN = "/.well-known/openid-configuration";
const REFUSED = new Set([401, 403]);

/** The issuer that the server names; null: none. */
export const issuer = /** @type {Issuer | null} */ (
  JSON.parse(document.querySelector('meta[name="sign-in"]')?.getAttribute("content") ?? "null")
);

/** Why the sign-in that one comes back from let nobody in. */
export const trouble = signal("");

/** @param {string} detail */
const failed = (detail) => new Failure({ status: 0, code: "sign-in", detail });

/**
 * Leave the page for the issuer's. Throws a Failure.
 * @param {Issuer} at
 */
export async function leaveFor(at) {
  if (!globalThis.crypto.subtle)
    throw failed("Browsers allow this over https alone, or on the server's own machine. Paste a token instead.");
  const about = await described(at);
  const verifier = newName() + newName();
  /** @type {Begun} */
  const begun = { state: newName(), nonce: newName(), verifier, endpoint: about.token_endpoint, hash: location.hash };
  keep(KEPT, JSON.stringify(begun));
  if (!kept(KEPT)) throw failed("The browser keeps nothing for this page, which would not know its sign-in again. Paste a token instead.");
  const to = new URL(about.authorization_endpoint);
  const asked = {
    response_type: "code",
    client_id: at.client,
    redirect_uri: location.origin + BASE,
    scope: at.scope,
    state: begun.state,
    nonce: begun.nonce,
    code_challenge: await challengeOf(verifier),
    code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(asked)) to.searchParams.set(name, value);
  location.assign(to);
}

/** Whether the issuer has just sent the browser back. */
export function isBack() {
  const sent = new URLSearchParams(location.search);
  return issuer !== null && sent.has("state") && (sent.has("code") || sent.has("error"));
}

/**
 * Take what the issuer sends, and go on where the page was left. What was wrong is `trouble`.
 * @param {Issuer} from
 */
export async function comeBackFrom(from) {
  const sent = new URLSearchParams(location.search);
  /** @type {Begun | null} */
  const begun = JSON.parse(kept(KEPT) || "null");
  const isOurs = begun !== null && begun.state === sent.get("state");
  replaceBy(location.pathname + ((isOurs && begun.hash) || location.hash)); // a code is good once
  try {
    if (!isOurs) throw failed("That sign-in was not begun in this tab. Begin it here.");
    keep(KEPT, ""); // what a stranger's link brings ends no sign-in that goes on
    await letIn(await tokensFor(from, begun, sent));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    trouble.value = error.message;
  }
}

/**
 * @param {Issuer} from
 * @param {Begun} begun
 * @param {URLSearchParams} sent
 * @returns {Promise<string[]>}
 */
async function tokensFor(from, begun, sent) {
  const error = sent.get("error");
  if (error) throw failed(`The issuer did not sign you in: ${sent.get("error_description") ?? error}`);
  if ((sent.get("iss") ?? from.issuer) !== from.issuer) throw failed("Another issuer answered than was asked.");
  const body = new URLSearchParams({
    grant_type: "authorization_code",
    code: sent.get("code") ?? "",
    redirect_uri: location.origin + BASE,
    client_id: from.client,
    code_verifier: begun.verifier,
  });
  const said = await fetched(begun.endpoint, { method: "POST", body });
  const claims = claimsOf(said.id_token);
  const isOurs = claims.iss === from.issuer && [claims.aud].flat().includes(from.client);
  if (!isOurs || claims.nonce !== begun.nonce) throw failed("The issuer's token is not of this sign-in. Begin it again.");
  return [said.access_token, said.id_token]; // an access token that says nothing is not taken
}

/**
 * Go on with the first token that the server takes.
 * @param {unknown[]} tokens
 */
async function letIn(tokens) {
  let refused = failed("The server takes no token of this issuer.");
  for (const token of tokens) {
    if (typeof token !== "string" || !claimsOf(token).iss) continue;
    try {
      await ask("GET", "quota", { key: token });
      const [before, now] = [claimsOf(key.peek()), claimsOf(token)];
      await keepKey(token, { isSameHolder: before.iss === now.iss && before.sub === now.sub });
      return;
    } catch (error) {
      if (!(error instanceof Failure && REFUSED.has(error.status))) throw error;
      refused = error;
    }
  }
  throw refused;
}

/**
 * What an issuer says about itself.
 * @param {Issuer} at
 */
async function described(at) {
  const about = await fetched(at.issuer.replace(/\/$/, "") + WELL_KNOWN);
  const way = `${new URL(at.issuer).protocol}//`; // https, or http on one machine
  const places = [about.authorization_endpoint, about.token_endpoint];
  if (about.issuer !== at.issuer || !places.every((each) => String(each).startsWith(way)))
    throw failed(`What ${at.issuer} says about itself is not as OpenID Connect has it.`);
  return about;
}

/**
 * @param {string} url
 * @param {RequestInit} [how]
 * @returns {Promise<any>}
 */
async function fetched(url, how) {
  let answer, said;
  try {
    answer = await fetch(url, { ...how, credentials: "omit", referrerPolicy: "no-referrer", redirect: "error" });
    said = await answer.json();
  } catch {
    const { origin } = new URL(url);
    throw failed(`${origin} does not answer, or lets no page of ${location.origin} ask it.`);
  }
  if (answer.ok && said) return said;
  throw failed(`The issuer refuses: ${said?.error_description ?? said?.error ?? answer.status}`);
}

/** @param {string} verifier */
async function challengeOf(verifier) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const text = btoa(String.fromCharCode(...new Uint8Array(digest)));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * What a token (JWT) says; nothing if it is none.
 * @param {unknown} token
 * @returns {Record<string, unknown>}
 */
function claimsOf(token) {
  try {
    const part = String(token).split(".")[1] ?? "";
    const bytes = Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) ?? {};
  } catch {
    return {};
  }
}
