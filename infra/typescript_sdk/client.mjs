// The official TypeScript SDK against a server of ours: tests run it beside its own packages.
//
//     client.mjs FOLDER
//
// COMFY_BASE_URL names the server, COMFY_API_KEY its key. FOLDER has photo.png, and graph.json, a graph
// that samples in node 3 and saves in node 9; it takes what is downloaded. What the client got is
// printed as JSON.

import { randomInt, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Comfy } from "@comfyorg/sdk";

const LONG = 3_000; // steps, which take longer than any test
const WAIT_MS = 60_000;
const PNG = [0x89, 0x50, 0x4e, 0x47];

const folder = process.argv[2];
const apiKey = process.env.COMFY_API_KEY || undefined; // none where the server asks for none
const client = new Comfy({ apiKey });

// A graph that nobody has run: ComfyUI remembers results.
async function graph(steps = 4) {
  const workflow = await client.workflows.fromFile(join(folder, "graph.json"));
  workflow.setInput("3", "steps", steps);
  workflow.setInput("3", "seed", randomInt(2 ** 32));
  return workflow;
}

// A graph that saves a picture of the client's own, after a long one if it is to go on.
async function withPicture(asset, { goesOn = false } = {}) {
  const workflow = goesOn ? await graph(LONG) : client.workflows.fromJson({});
  workflow.json["20"] = { class_type: "LoadImage", inputs: {} };
  workflow.setInput("20", "image", asset);
  workflow.json["21"] = {
    class_type: "SaveImage",
    inputs: { images: ["20", 0], filename_prefix: "a" },
  };
  return workflow;
}

async function refused(call) {
  try {
    await call();
  } catch (error) {
    const { code, httpStatus } = error;
    return { raised: error.constructor.name, code, status: httpStatus ?? null };
  }
  throw new Error("it was not refused");
}

function isPng(bytes) {
  return PNG.every((byte, at) => bytes[at] === byte);
}

async function run() {
  const asked = await graph();
  const job = await client.run(asked, { timeoutMs: WAIT_MS });
  const [output] = job.outputs;
  const bytes = await output.toBytes();
  const link = await output.getDownloadUrl();
  const file = await output.toFile(join(folder, "made.png"));
  const same = await client.jobs.get(job.id);
  const shown = await same.getWorkflow();
  return {
    status: job.status,
    id: job.id,
    outputs: job.outputs.length,
    ofNode: job.getOutputs("9").map((each) => each.id),
    output: output.id,
    type: output.type,
    contentType: output.contentType,
    jobId: output.jobId,
    isWhole: isPng(bytes) && bytes.length === output.sizeBytes,
    isSameFile: Buffer.compare(await readFile(file), bytes) === 0,
    range: Buffer.from(await output.toBytes({ range: [1, 3] })).toString(),
    link: link.url,
    found: same.status,
    format: shown.format,
    isSameGraph: JSON.stringify(shown.workflow) === JSON.stringify(asked.json),
  };
}

async function follow() {
  const job = await client.submit(await graph(40));
  const told = { statuses: [], progress: [], outputs: [] };
  for await (const event of job.events()) {
    if (event.kind === "statusChange") told.statuses.push(event.status);
    if (event.kind === "progress") told.progress.push(event.value);
    if (event.kind === "outputReady") told.outputs.push(event.output.id);
  }
  await job.wait(WAIT_MS);
  return { ...told, ended: job.status, made: job.outputs.map((each) => each.id) };
}

// Cancel a job when its first preview comes; where none comes, when it runs.
async function cancel(streams) {
  const job = await client.submit(await graph(LONG));
  const previews = [];
  let last = null;
  if (streams) {
    for await (const event of job.events()) {
      if (event.kind === "preview" && previews.push(event.contentType) === 1) await job.cancel();
      if (event.kind === "statusChange") last = event.status;
    }
  } else {
    while (job.status === "queued") await job.refresh();
    await job.cancel();
    last = (await job.wait(WAIT_MS)).status;
  }
  return { previews, last, result: await refused(() => job.result()) };
}

async function assets() {
  const path = join(folder, "photo.png");
  const first = client.assets.fromFile(path);
  const job = await client.run(await withPicture(first), { timeoutMs: WAIT_MS });
  const again = client.assets.fromBytes(await readFile(path), { filename: "other.png" });
  await again.commit();
  const known = await client.assets.get(first.id);
  const needing = await client.submit(await withPicture(first, { goesOn: true }));
  const inUse = await refused(() => first.delete());
  await (await needing.cancel()).wait(WAIT_MS);
  const { id } = first;
  await first.delete();
  return {
    id,
    created: first.createdNew,
    isPng: isPng(await job.outputs[0].toBytes()),
    again: again.id,
    createdAgain: again.createdNew,
    known: known.id,
    knownHash: await known.hash(),
    hash: await again.hash(),
    inUse,
    dangling: await refused(async () => client.submit(await withPicture(reference(id)))),
  };
}

function reference(id) {
  return { __type: "core/ASSET", info: { id } };
}

async function errors() {
  const idempotencyKey = randomUUID();
  const empty = client.workflows.fromJson({});
  const editors = client.workflows.fromJson({ nodes: [], links: [] });
  const stranger = new Comfy({ apiKey: "cq_a_b" });
  const invalid = await refused(() => client.submit(empty, { idempotencyKey }));
  await (await client.submit(await graph(), { idempotencyKey })).wait(WAIT_MS);
  return {
    invalid,
    reused: await refused(async () => client.submit(await graph(), { idempotencyKey })),
    editors: await refused(() => client.submit(editors)),
    job: await refused(() => client.jobs.get(randomUUID())),
    asset: await refused(() => client.assets.get(randomUUID())),
    stranger: apiKey && (await refused(async () => stranger.submit(await graph()))),
  };
}

const ran = await run();
const followed = await follow();
const canceled = await cancel(followed.progress.length > 0);
const told = { ran, followed, canceled, assets: await assets(), errors: await errors() };
console.log(JSON.stringify(told));
