// All jobs, newest first, as far as one scrolls; filtered by what the API looks up.

import { html, useEffect, useRef, useState } from "../lib.js";
import { Card } from "../parts/card.js";
import { usePolled, useTitle } from "../parts/hooks.js";
import { Empty, Loading, Trouble } from "../parts/notices.js";
import { several } from "../parts/words.js";
import { learnAll, recent, refreshRecent } from "../state/jobs.js";
import { Failure, askPatiently } from "../state/request.js";
import { go, refine, route } from "../state/route.js";
import { may } from "../state/session.js";
import { workflows } from "../state/workflows.js";

const PAGE = 50;
const LOOK_MS = 8000;
const AHEAD = "1200px"; // of what is seen, the next page is fetched
const STATUSES = ["queued", "running", "completed", "failed", "canceled"];
const NAMES = ["status", "workflow", "label", "from", "to"];
const LABEL = /^[^=]+=./; // as the server looks them up
const ID = /^[0-9a-f]{8}-[0-9a-f-]{27}$/i;

/**
 * Return a day of the address; nothing for what is none.
 * @param {string} text
 */
const dayOf = (text) => {
  const at = new Date(`${text}T00:00:00Z`); // which takes 2026-02-31 for a day of March
  return Number.isNaN(at.getTime()) || !at.toISOString().startsWith(`${text}T`) ? "" : text;
};

/** @param {URLSearchParams} query */
function asked(query) {
  const sent = new URLSearchParams({ limit: String(PAGE) });
  for (const name of ["status", "workflow", "label"]) {
    const value = query.get(name);
    if (value && (name !== "label" || LABEL.test(value))) sent.set(name, value);
  }
  const [from, to] = ["from", "to"].map((name) => dayOf(query.get(name) ?? ""));
  if (from) sent.set("created_after", new Date(`${from}T00:00:00`).toISOString());
  if (to) sent.set("created_before", new Date(`${to}T23:59:59.999`).toISOString());
  return sent;
}

/**
 * What was seen last, for whoever comes back from a job.
 * @type {{ query: string, ids: string[], cursor: string, state: string, opened: string } | null}
 */
let kept = null;

/** The job that is shown instead now, if one is. */
const openedJob = () => (route.peek().view === "job" ? route.peek().parts[0] ?? "" : "");

/** @param {string} id of the job that one comes back from */
function backTo(id) {
  const card = /** @type {HTMLElement | null} */ (document.querySelector(`.card a[href="#/job/${CSS.escape(id)}"]`));
  card?.scrollIntoView({ block: "center" });
  card?.focus({ preventScroll: true });
}

/** @param {URLSearchParams} query */
function usePages(query) {
  const [ids, setIds] = useState(/** @type {string[]} */ ([]));
  const [state, setState] = useState("loading"); // more, all, stopped
  const [pages, setPages] = useState(0);
  const [failure, setFailure] = useState(/** @type {Failure | null} */ (null));
  const at = useRef({ cursor: "", until: new AbortController(), isBusy: false });

  const more = async () => {
    const mine = at.current;
    if (mine.isBusy) return;
    mine.isBusy = true;
    setFailure(null);
    const sent = asked(query);
    if (mine.cursor) sent.set("cursor", mine.cursor);
    try {
      const page = await askPatiently("GET", `generate?${sent}`, { until: mine.until.signal });
      if (mine !== at.current) return;
      const fresh = learnAll(page);
      setIds((old) => [...new Set([...old, ...fresh])]);
      mine.cursor = page.next_cursor ?? "";
      setState(page.next_cursor ? "more" : "all");
      setPages((old) => old + 1);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (mine !== at.current) return;
      setFailure(error);
      setState("stopped");
    } finally {
      mine.isBusy = false;
    }
  };

  const newest = useRef({ ids, state });
  newest.current = { ids, state };
  useEffect(() => {
    const before = kept?.query === String(query) ? kept : null;
    const mine = { cursor: before?.cursor ?? "", until: new AbortController(), isBusy: false };
    at.current = mine;
    setIds(before?.ids ?? []);
    setFailure(null);
    setState(before?.state === "stopped" ? "more" : before?.state ?? "loading");
    if (before?.ids.length) requestAnimationFrame(() => backTo(before.opened));
    else void more();
    return () => {
      mine.until.abort();
      kept = { query: String(query), ...newest.current, cursor: mine.cursor, opened: openedJob() };
    };
  }, [String(query)]);
  return { ids, pages, state, failure, more };
}

export function HistoryView() {
  useTitle("History");
  const { query } = route.value;
  const { ids, pages, state, failure, more } = usePages(query);
  const isFiltered = NAMES.some((name) => query.get(name));
  usePolled(() => void refreshRecent().catch(() => {}), LOOK_MS);
  const isNewest = !isFiltered && state !== "loading";
  const all = isNewest ? [...new Set([...(recent.value ?? []), ...ids])] : ids; // some came since
  const trouble = html`<${Trouble} failure=${failure}><button type="button" onClick=${more}>Load again</button><//>`;
  return html`<div class="page">
    <div class="section-head">
      <h1>History</h1>
      <p class="quiet" role="status">${state === "loading" ? "" : several(all.length, "job") + (state === "all" ? "" : " so far")}</p>
    </div>
    <${Filters} query=${query} />
    ${ids.length === 0 && trouble}
    ${state === "loading" && html`<${Loading} of="jobs" />`}
    ${state === "all" && !failure && all.length === 0 &&
    html`<${Empty} title=${isFiltered ? "No job is like that" : "Nothing made yet"}>
      ${isFiltered
        ? html`<button type="button" onClick=${() => refine({})}>Show all jobs</button>`
        : may("submit") && html`<a class="button" href="#/create">Make something</a>`}
    <//>`}
    <ul class="grid">${all.map((id) => html`<${Card} key=${id} id=${id} />`)}</ul>
    ${ids.length > 0 && trouble}
    ${state === "more" && html`<${End} key=${pages} seen=${more} />`}
  </div>`;
}

/** @param {{ seen: () => void }} props */
function End({ seen }) {
  const end = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    const watch = new IntersectionObserver((entries) => entries.some((each) => each.isIntersecting) && seen(), { rootMargin: AHEAD });
    if (end.current) watch.observe(end.current);
    return () => watch.disconnect();
  }, []);
  return html`<p class="loading" ref=${end}><button type="button" class="plain" onClick=${seen}>More</button></p>`;
}

/** @param {{ query: URLSearchParams }} props */
function Filters({ query }) {
  const label = query.get("label") ?? "";
  const [text, setText] = useState(label); // that is typed
  const [wrong, setWrong] = useState("");
  useEffect(() => setText(label), [label]);
  /** @param {string} name */
  const setter = (name) => (/** @type {Event} */ event) => {
    const value = /** @type {HTMLInputElement} */ (event.target).value.trim();
    if (name === "label" && ID.test(value)) go(`job/${value}`);
    else if (name === "label" && value && !LABEL.test(value)) setWrong("Labels are searched as NAME=VALUE, such as project=zoo. Prompts are not searched.");
    else refine({ ...Object.fromEntries(query), [name]: value });
  };
  const type = (/** @type {Event} */ event) => {
    setText(/** @type {HTMLInputElement} */ (event.target).value);
    setWrong("");
  };
  const chosen = (/** @type {string} */ name) => query.get(name) ?? "";
  return html`<form class="filters" role="search" onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
    <label>
      <span>Status</span>
      <select onChange=${setter("status")}>
        <option value="" selected=${!chosen("status")}>any</option>
        ${STATUSES.map((each) => html`<option value=${each} selected=${chosen("status") === each}>${each}</option>`)}
      </select>
    </label>
    <label>
      <span>Workflow</span>
      <select onChange=${setter("workflow")}>
        <option value="" selected=${!chosen("workflow")}>any</option>
        ${(workflows.value ?? []).map((each) => html`<option value=${each.name} selected=${chosen("workflow") === each.name}>${each.title}</option>`)}
        <option value="graph" selected=${chosen("workflow") === "graph"}>a graph of one's own</option>
      </select>
    </label>
    <label class="wide"><span>Label or id of a job</span><input type="search" placeholder="project=zoo" value=${text} aria-describedby="label-wrong" aria-invalid=${wrong !== ""} onInput=${type} onChange=${setter("label")} /></label>
    <label><span>From</span><input type="date" value=${dayOf(chosen("from"))} onChange=${setter("from")} /></label>
    <label><span>To</span><input type="date" value=${dayOf(chosen("to"))} onChange=${setter("to")} /></label>
    <p id="label-wrong" class="wrong" role="alert">${wrong}</p>
  </form>`;
}
