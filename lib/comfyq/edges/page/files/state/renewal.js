// Renewing the token by which the page is signed in, by a refresh token (RFC 6749, section 6): ahead
// of its end, and when the server says that it is over. What cannot be renewed is signed in anew.

import { effect } from "../lib.js";
import { claimsOf, fetched, isOfOne, issuer } from "./issuer.js";
import { Failure } from "./request.js";
import { keepKey, keepRefresh, key, refresh, renewal } from "./session.js";

/** @typedef {import("./issuer.js").Refresh} Refresh */

const AHEAD_MS = 60_000; // of its end; of a token that lives for less than twice that, in its middle
const AGAIN_MS = 20_000; // where the issuer does not answer
const LONGEST_MS = 2 ** 31 - 1; // that a timer takes
const OVER = new Set([400, 401, 403]); // the issuer takes this refresh token no more

/** @type {Promise<boolean> | null} */
let going = null; // of several that ask at once, one sends it: it is good once
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** Begin to renew. */
export function beginRenewal() {
  renewal.renew = renew;
  renewal.revoke = revoke;
  effect(() => later(leftMs(key.value)));
}

function renew() {
  going ??= renewed().finally(() => (going = null));
  return going;
}

/** @returns {Promise<boolean>} whether there is another token now */
async function renewed() {
  /** @type {Refresh | null} */
  const by = JSON.parse(refresh || "null");
  if (!by || by.issuer !== issuer?.issuer || by.client !== issuer.client) return false;
  const body = new URLSearchParams({ grant_type: "refresh_token", refresh_token: by.token, client_id: by.client });
  let said;
  try {
    said = await fetched(by.endpoint, { method: "POST", body });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (OVER.has(error.status)) keepRefresh("");
    else later(AGAIN_MS);
    return false;
  }
  const refreshBy = JSON.stringify({ ...by, token: said.refresh_token ?? by.token });
  const token = said[by.kind];
  const isGood = typeof token === "string" && isOfOne(key.peek(), token);
  if (isGood) await keepKey(token, { isSameHolder: true, refreshBy });
  else keepRefresh(""); // another person's, or none: that is for a sign-in
  return isGood;
}

/** Ask the issuer to take the refresh token no more (RFC 7009). Nobody waits for it: one who signs out is not kept. */
function revoke() {
  /** @type {Refresh | null} */
  const by = JSON.parse(refresh || "null");
  if (!by?.revocation) return;
  const body = new URLSearchParams({ token: by.token, token_type_hint: "refresh_token", client_id: by.client });
  // keepalive: it is sent though the page is loaded anew
  const how = /** @type {const} */ ({ credentials: "omit", referrerPolicy: "no-referrer", redirect: "error", keepalive: true });
  fetch(by.revocation, { ...how, method: "POST", body }).catch(() => {});
}

/** @param {number} ms until it is renewed ahead; none if there is nothing to renew it by */
function later(ms) {
  clearTimeout(timer);
  if (refresh && ms > 0) timer = setTimeout(() => void renew(), Math.min(ms, LONGEST_MS));
}

/** @param {string} token how long it is not renewed yet; 0: it is over, or does not tell */
function leftMs(token) {
  const left = Number(claimsOf(token).exp) * 1000 - Date.now();
  return left > 0 ? left - Math.min(AHEAD_MS, left / 2) : 0;
}
