// How jobs are named: by their titles, which say how their prompts begin, or else by labels.

/** The label that says which value of the varied parameter a job has. */
export const ROW = "varied";

/** The label that said how a job's prompt begins, of jobs before there were titles. */
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

/** @param {{ title?: string | null, labels?: Record<string, string> }} job how its prompt begins, or its labels; empty: it has neither */
export function titleOf({ title, labels = {} }) {
  return title ?? labels[PROMPT] ?? Object.entries(labels).map((each) => each.join("=")).join(", ");
}
