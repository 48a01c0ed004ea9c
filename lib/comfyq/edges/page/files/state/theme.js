// Light, dark, or as the system has it.

import { effect, signal } from "../lib.js";
import { keep, kept } from "./kept.js";

const KEPT = "comfyq.theme";
const THEMES = ["Auto", "Light", "Dark"];

export const theme = signal(kept(KEPT, "localStorage") || "Auto");

export function nextTheme() {
  theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? "Auto";
  keep(KEPT, theme.value, "localStorage");
}

effect(() => {
  document.documentElement.dataset.theme = theme.value.toLowerCase();
});
