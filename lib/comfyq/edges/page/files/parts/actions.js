// What can be done with a job.

import { html, useState } from "../lib.js";
import { change, replace } from "../state/drafts.js";
import { again, cancel, goodLink, hasEnded, purge, retry } from "../state/jobs.js";
import { Failure, get } from "../state/request.js";
import { go } from "../state/route.js";
import { may } from "../state/session.js";
import { fieldOfKind, isTaken, workflows, workflowsTaking } from "../state/workflows.js";
import { upload } from "../form/files.js";
import { Dialog } from "./dialog.js";
import { Icon } from "./icons.js";
import { DownloadLink, mainOutput, wayOf } from "./media.js";
import { Loading, Trouble, attempt, say } from "./notices.js";
import { asCurl, asPython, copy } from "./snippets.js";

/** @typedef {import("../types").Job} Job */
/** @typedef {import("../types").Output} Output */
/** @typedef {import("../types").Workflow} Workflow */

/** @param {{ icon: string, text: string, act: () => unknown, isPlain?: boolean, isDisabled?: boolean }} props */
export function Action({ icon, text, act, isPlain = false, isDisabled = false }) {
  const [isBusy, setBusy] = useState(false);
  const click = async () => {
    setBusy(true);
    await attempt(act).finally(() => setBusy(false));
  };
  return html`<button type="button" class=${isPlain ? "plain" : ""} disabled=${isBusy || isDisabled} onClick=${click}>
    <${Icon} name=${icon} /> ${text}
  </button>`;
}

/** @param {{ job: Job }} props */
export function CancelAction({ job }) {
  if (hasEnded(job) || !may("cancel")) return null;
  return html`<${Action} icon="stop" text="Cancel" isDisabled=${job.cancel_requested} act=${() => cancel(job.id)} />`;
}

/**
 * What can be done with a job on any view; `stays` if a new job is shown where this one is.
 * @param {{ job: Job, stays?: boolean }} props
 */
export function Actions({ job, stays = false }) {
  const output = mainOutput(job);
  const isKnown = (workflows.value ?? []).some((each) => each.name === job.workflow);
  const shows = async (/** @type {Promise<string>} */ making) => {
    const id = await making;
    if (!stays) go(`job/${id}`);
  };
  return html`<div class="row wrap">
    <${CancelAction} job=${job} />
    ${isKnown && may("submit") && html`<${Action} icon="again" text="Again, new seed" act=${() => shows(again(job))} />`}
    ${(job.status === "failed" || job.status === "canceled") && may("submit") &&
    html`<${Action} icon="again" text="Try again" act=${() => shows(retry(job.id))} />`}
    ${isKnown && may("submit") && html`<${Action} icon="edit" text="Edit" act=${() => edit(job)} />`}
    ${output && isTaken(wayOf(output)) && may("submit") && html`<${UseAsInput} output=${output} />`}
    ${output && html`<${DownloadLink} output=${output} look="button"><${Icon} name="download" /> Download<//>`}
  </div>`;
}

/** @param {Job} job */
async function edit(job) {
  const story = await get(`generate/${job.id}/story`);
  replace(job.workflow, story.parameters); // of the form before nothing is to be left
  go(`create/${encodeURIComponent(job.workflow)}`);
}

/** @param {{ output: Output }} props */
function UseAsInput({ output }) {
  const [fitting, setFitting] = useState(/** @type {Workflow[] | null} */ (null));
  const [isOpen, setOpen] = useState(false);
  const kind = wayOf(output);
  const [failure, setFailure] = useState(/** @type {Failure | null} */ (null));
  const open = async () => {
    setFailure(null);
    setOpen(true);
    try {
      setFitting(await workflowsTaking(kind));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      setFailure(error);
    }
  };
  const choose = (/** @type {Workflow} */ each) =>
    attempt(async () => {
      await put(output, each, kind);
      setOpen(false);
    });
  return html`<${Action} icon="input" text="Use as input" act=${open} />
    ${isOpen &&
    html`<${Dialog} title="Use as input of" close=${() => setOpen(false)}>
      <${Trouble} failure=${failure} />
      ${fitting === null && !failure && html`<${Loading} of="workflows" />`}
      ${fitting?.length === 0 && html`<p>No workflow takes this.</p>`}
      <ul class="choices">
        ${fitting?.map(
          (each) => html`<li>
            <button type="button" onClick=${() => choose(each)}>
              <strong>${each.title}</strong><span class="quiet">${each.description}</span>
            </button>
          </li>`,
        )}
      </ul>
    <//>`}`;
}

/**
 * Put an output into a workflow's form.
 * @param {Output} output
 * @param {Workflow} workflow
 * @param {string} kind
 */
async function put(output, workflow, kind) {
  const file = await fileAt(await goodLink(output.url));
  const source = await upload(file, output.filename);
  change(workflow.name, { [fieldOfKind(workflow, kind) ?? ""]: source });
  go(`create/${encodeURIComponent(workflow.name)}`);
}

/** @param {string} url of an output */
async function fileAt(url) {
  let status = 0;
  try {
    const answer = await fetch(url);
    status = answer.status;
    if (answer.ok) return await answer.blob();
  } catch {
    // as when the server is away, or its storage lets no page read it
  }
  const detail = `The file could not be read${status ? ` (${status})` : ""}.`;
  throw new Failure({ status, code: "unreadable", detail });
}

/** @param {{ job: Job, parameters: Record<string, any> }} props */
export function Snippets({ job, parameters }) {
  const give = async (/** @type {string} */ text, /** @type {string} */ what) => {
    if (await copy(text)) say(`Copied as ${what}.`);
    else say("The browser does not let pages copy.", true);
  };
  if (job.workflow === "graph") return null;
  return html`<div class="row wrap">
    <${Action} isPlain icon="copy" text="Copy as curl" act=${() => give(asCurl(job.workflow, parameters), "curl")} />
    <${Action} isPlain icon="copy" text="Copy as Python" act=${() => give(asPython(job.workflow, parameters), "Python")} />
  </div>`;
}

/** @param {{ job: Job, done: () => void }} props */
export function DeleteAction({ job, done }) {
  const [isAsking, setAsking] = useState(false);
  if (!may("cancel")) return null;
  const remove = async () => {
    await purge(job.id);
    done();
  };
  return html`<${Action} isPlain icon="trash" text="Delete" act=${() => setAsking(true)} />
    ${isAsking &&
    html`<${Dialog} title="Delete this job?" close=${() => setAsking(false)}>
      <p>The job and its files are deleted for good.</p>
      <div class="row end"><${Action} icon="trash" text="Delete it" act=${remove} /></div>
    <//>`}`;
}

