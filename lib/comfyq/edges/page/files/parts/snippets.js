// A job's request as text to run elsewhere.

import { written } from "../state/json.js";
import { BASE } from "../state/request.js";
import { key } from "../state/session.js";

/** @typedef {import("../types").Values} Values */

/** @param {string} workflow */
const address = (workflow) => `${location.origin}${BASE}workflows/${encodeURIComponent(workflow)}/generate`;

/** @param {string} text as a shell takes it */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/**
 * @param {string} workflow
 * @param {Values} values
 */
export function asCurl(workflow, values) {
  const lines = [
    `curl -X POST ${quoted(address(workflow))}`,
    ...(key.value ? ['-H "Authorization: Bearer $COMFYQ_API_KEY"'] : []),
    '-H "Content-Type: application/json"',
    `-d ${quoted(written(values))}`,
  ];
  return lines.join(" \\\n  ");
}

/**
 * @param {string} workflow
 * @param {Values} values
 */
export function asPython(workflow, values) {
  const asks = Boolean(key.value);
  const authorized = asks ? ', "Authorization": f"Bearer {os.environ[\'COMFYQ_API_KEY\']}"' : "";
  return `import json
${asks ? "import os\n" : ""}from urllib.request import Request, urlopen

values = ${python(values)}
request = Request(
    "${address(workflow)}",
    json.dumps(values).encode(),
    {"Content-Type": "application/json"${authorized}},
)
print(json.load(urlopen(request))["urls"]["self"])
`;
}

/**
 * A JSON value as Python writes it.
 * @param {unknown} value
 * @returns {string}
 */
function python(value) {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value !== "object") return written(value);
  const entries = Object.entries(value).map(([name, each]) => `    ${JSON.stringify(name)}: ${python(each)},`);
  return entries.length ? `{\n${entries.join("\n")}\n}` : "{}";
}

/**
 * Put a text into the clipboard; false if the browser does not let us.
 * @param {string} text
 */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyByHand(text); // on pages that came by plain HTTP from another machine
  }
}

/** @param {string} text */
function copyByHand(text) {
  const area = document.createElement("textarea");
  area.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  return isDone;
}
