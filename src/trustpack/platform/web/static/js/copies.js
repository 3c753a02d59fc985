import { announce } from "./announce.js";

const SHOWN_MS = 1600;

/** Let `data-copy` put its text on the clipboard. */
export function watchCopies() {
  addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const { copy } = button.dataset;
    try {
      await navigator.clipboard.writeText(copy.startsWith("/") ? location.origin + copy : copy);
    } catch {
      return announce("The browser does not let this page copy");
    }
    announce("Copied");
    button.classList.add("is-done");
    setTimeout(() => button.classList.remove("is-done"), SHOWN_MS);
  });
}
