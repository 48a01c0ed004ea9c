// Signing in at an issuer of OpenID Connect, by authorization code and PKCE (RFC 7636): the page is
// a public client there. Tokens are checked by the server; here it is checked that they are of this
// tab's own sign-in. Where the issuer gives a refresh token, it renews them (state/renewal.js).

import { signal } from "../lib.js";
import { keep, kept } from "./kept.js";
import { BASE, Failure, ask, newName } from "./request.js";
import { replaceBy } from "./route.js";
import { keepKey, key } from "./session.js";

/** @typedef {{ issuer: string, client: string, scope: string }} Issuer */
/** @typedef {{ state: string, nonce: string, verifier: string, endpoint: string, revocation: string, hash: string }} Begun */
/** @typedef {"access_token" | "id_token"} Kind of what the server is shown */
/** @typedef {{ token: string, endpoint: string, revocation: string, issuer: string, client: string, kind: Kind }} Refresh */

const KEPT = "comfyq.sign-in"; // on the way to the issuer and back
const WELL_KNOWN = "/.well-known/openid-configuration";
const REFUSED = new Set([401, 403]);
/** @type {Kind[]} */
const KINDS = ["access_token", "id_token"]; // the first of them that the server takes is shown

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
  const begun = {
    state: newName(),
    nonce: newName(),
    verifier,
    endpoint: about.token_endpoint,
    revocation: isAt(at, about.revocation_endpoint) ? about.revocation_endpoint : "",
    hash: location.hash,
  };
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
    await letIn(from, begun, await tokensFor(from, begun, sent));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    trouble.value = error.message;
  }
}

/**
 * @param {Issuer} from
 * @param {Begun} begun
 * @param {URLSearchParams} sent
 * @returns {Promise<Record<string, unknown>>} what the issuer says
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
  return said;
}

/**
 * Go on with the first token that the server takes.
 * @param {Issuer} from
 * @param {Begun} begun
 * @param {Record<string, unknown>} said
 */
async function letIn(from, { endpoint, revocation }, said) {
  let refused = failed("The server takes no token of this issuer.");
  for (const kind of KINDS) {
    const token = said[kind];
    if (typeof token !== "string" || !claimsOf(token).iss) continue; // it says nothing to the server
    try {
      await ask("GET", "quota", { key: token });
      const { issuer: name, client } = from;
      /** @type {Refresh | null} */
      const by = typeof said.refresh_token === "string" ? { token: said.refresh_token, endpoint, revocation, issuer: name, client, kind } : null;
      await keepKey(token, { isSameHolder: isOfOne(key.peek(), token), refreshBy: by ? JSON.stringify(by) : "" });
      return;
    } catch (error) {
      if (!(error instanceof Failure && REFUSED.has(error.status))) throw error;
      refused = error;
    }
  }
  throw refused;
}

/**
 * Whether two tokens name the same person.
 * @param {string} one
 * @param {string} other
 */
export function isOfOne(one, other) {
  const [before, now] = [claimsOf(one), claimsOf(other)];
  return before.iss === now.iss && before.sub === now.sub;
}

/**
 * What an issuer says about itself.
 * @param {Issuer} at
 */
async function described(at) {
  const about = await fetched(at.issuer.replace(/\/$/, "") + WELL_KNOWN);
  const places = [about.authorization_endpoint, about.token_endpoint];
  if (about.issuer !== at.issuer || !places.every((each) => isAt(at, each)))
    throw failed(`What ${at.issuer} says about itself is not as OpenID Connect has it.`);
  return about;
}

/**
 * Whether a place is asked as the issuer itself is: by https, or http on one machine.
 * @param {Issuer} at
 * @param {unknown} place
 */
const isAt = (at, place) => String(place).startsWith(`${new URL(at.issuer).protocol}//`);

/**
 * @param {string} url
 * @param {RequestInit} [how]
 * @returns {Promise<any>}
 */
export async function fetched(url, how) {
  let answer, said;
  try {
    answer = await fetch(url, { ...how, credentials: "omit", referrerPolicy: "no-referrer", redirect: "error" });
    said = await answer.json();
  } catch {
    const { origin } = new URL(url);
    throw failed(`${origin} does not answer, or lets no page of ${location.origin} ask it.`);
  }
  if (answer.ok && said) return said;
  const detail = `The issuer refuses: ${said?.error_description ?? said?.error ?? answer.status}`;
  throw new Failure({ status: answer.status, code: "sign-in", detail });
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
export function claimsOf(token) {
  try {
    const part = String(token).split(".")[1] ?? "";
    const bytes = Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) ?? {};
  } catch {
    return {};
  }
}
