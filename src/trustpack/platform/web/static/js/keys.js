import { announce } from "./announce.js";
import { openDialog } from "./dialogs.js";

const SWITCH = "single-keys";

const isOn = () => localStorage.getItem(SWITCH) !== "off";
const isTyping = (element) => element.matches("input, textarea, select, [contenteditable]");

/** Keys open things and move between rows; they never decide. All but Ctrl+K can be switched off (WCAG 2.1.4). */
export function watchKeys() {
  const box = document.querySelector("[data-single-keys]");
  if (box) box.checked = isOn();
  addEventListener("change", (event) => {
    if (!event.target.matches("[data-single-keys]")) return;
    const state = event.target.checked ? "on" : "off";
    localStorage.setItem(SWITCH, state);
    announce(`Shortcuts of a single key are ${state}`, { shown: false });
  });
  addEventListener("keydown", (event) => {
    const isCommand = event.ctrlKey || event.metaKey;
    if (isCommand && event.key.toLowerCase() === "k") {
      event.preventDefault();
      openDialog("palette");
      return;
    }
    const isSingle = !isCommand && !event.altKey && !event.isComposing;
    if (!isSingle || !isOn() || isTyping(event.target) || document.querySelector("dialog[open]")) return;
    if (press(event.key)) event.preventDefault();
  });
}

function press(key) {
  if (key === "j" || key === "k") return move(key === "j" ? 1 : -1);
  if (key === "?") {
    openDialog("shortcuts");
    return true;
  }
  if (key === "/") return focus(document.getElementById("filter-text"));
  const wanted = /^[a-z]$/.test(key) && document.querySelector(`[data-shortcut="${key}"]:not(:disabled)`);
  if (!wanted) return false;
  if (wanted.dataset.opens) wanted.click();
  else wanted.focus();
  return true;
}

function move(step) {
  const links = [...document.querySelectorAll("[data-list] td.cell-key a")].filter((link) => link.checkVisibility());
  const at = links.indexOf(document.activeElement);
  const open = links.find((link) => link.closest("[aria-current]"));
  if (at >= 0) return focus(links[at + step] ?? links[at]);
  return focus(open ?? links[0]);
}

function focus(element) {
  element?.focus();
  return element;
}
