// Light, dark, or as the system has it.

import { effect, signal } from "../lib.js";

const KEPT = "comfyq.theme";
const THEMES = ["Auto", "Light", "Dark"];

export const theme = signal(localStorage.getItem(KEPT) ?? "Auto");

export function nextTheme() {
  theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? "Auto";
  localStorage.setItem(KEPT, theme.value);
}

effect(() => {
  document.documentElement.dataset.theme = theme.value.toLowerCase();
});
