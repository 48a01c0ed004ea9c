// What every module takes from the libraries, so that their files are named here alone.

import { h } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export { h, render, Fragment } from "./vendor/preact.js";
export { useEffect, useId, useMemo, useRef, useState } from "./vendor/hooks.js";
export { batch, computed, effect, signal, useComputed, useSignal } from "./vendor/signals.js";

export const html = htm.bind(h);
