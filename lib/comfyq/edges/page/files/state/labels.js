// Labels that the page gives its jobs. Lists tell labels and no parameters, so jobs are named by them.

/** The label that says which value of the varied parameter a job has. */
export const ROW = "varied";

/** The label that says how a job's prompt begins. */
const PROMPT = "prompt";
const MOST_CHARS = 64; // of a label's value

/**
 * A text as a label's value may be: no control characters, and not too long.
 * @param {string} text
 * @param {string} [end] of one that is cut
 */
export function labelOf(text, end = "…") {
  const characters = [...text.replace(/[\p{Cc}\p{Cs}\u2028\u2029]/gu, " ")];
  if (characters.length <= MOST_CHARS) return characters.join("");
  return characters.slice(0, MOST_CHARS - end.length).join("") + end;
}

/**
 * The label by which a request's job is told from others.
 * @param {import("../types").Values} values
 * @returns {Record<string, string>}
 */
export function promptLabel({ prompt }) {
  const text = typeof prompt === "string" ? prompt.replace(/\s+/g, " ").trim() : "";
  return text ? { [PROMPT]: labelOf(text) } : {};
}

/** @param {{ labels?: Record<string, string> }} job how its prompt begins, or its other labels; empty: it has none */
export function titleOf({ labels = {} }) {
  return labels[PROMPT] ?? Object.entries(labels).map((each) => each.join("=")).join(", ");
}
