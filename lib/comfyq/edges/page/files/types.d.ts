// Shapes of the API, as its OpenAPI document has them, and of the page's own values.
// `comfyq-api` is written from that document by infra/page/check.sh.

import type { components } from "comfyq-api";

type Schemas = components["schemas"];

export type Job = Schemas["JobView"];
export type Output = Schemas["OutputView"];
export type Story = Schemas["StoryView"];
export type JobList = Schemas["JobList"];
export type Batch = Schemas["BatchView"];
export type WorkflowSummary = Schemas["WorkflowSummary"];
export type WorkflowView = Schemas["WorkflowView"];
export type Choices = Schemas["WorkflowChoices"]["choices"];
export type Health = Schemas["HealthView"];
export type HealthWorker = Schemas["WorkerView"];
export type LiveWorker = Schemas["LiveWorkerView"];
export type Quota = Schemas["QuotaView"];
export type Key = Schemas["KeyView"];
export type NewKey = Schemas["NewKeyView"];
export type Asset = Schemas["AssetView"];
export type Problem = Schemas["Problem"];
export type ProgressFrame = Schemas["ProgressFrame"];
export type PreviewFrame = Schemas["PreviewFrame"];
export type BatchFrame = Schemas["BatchFrame"];

/** A value of a form: what its parameter takes in a request. */
export type Value = string | number | bigint | boolean | null | string[] | { source: string; fit?: string };
export type Values = Record<string, Value | undefined>;

/** One parameter's JSON Schema, as far as the form heeds it. */
export interface Field {
  type?: string;
  title?: string;
  description?: string;
  default?: Value;
  minimum?: number;
  maximum?: number;
  multipleOf?: number;
  minLength?: number;
  maxLength?: number;
  maxItems?: number;
  enum?: string[];
  examples?: string[];
  "x-kind"?: string;
  "x-group"?: string;
  "x-unit"?: string;
}

/** A workflow with what its form is made of. */
export interface Workflow extends Omit<WorkflowView, "parameters"> {
  fields: Record<string, Field>;
  required: string[];
  choices: Choices;
}

/** What a field's control is given. */
export interface Control {
  name: string;
  field: Field;
  id: string;
  describedBy: string;
  invalid: boolean;
  required: boolean;
  value: Value | undefined;
  choices: string[];
  set: (value: Value | undefined) => void;
}

export interface Route {
  view: string;
  parts: string[];
  query: URLSearchParams;
}
