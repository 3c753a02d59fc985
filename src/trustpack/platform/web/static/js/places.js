import { announce } from "./announce.js";

/** After a page changed in place: say where we are, and never leave the focus nowhere. */
export function watchPlaces() {
  addEventListener("htmx:after:swap", () => {
    if (document.activeElement === document.body) document.getElementById("main")?.focus({ preventScroll: true });
  });
  // Before htmx listens, going back changes the address alone.
  addEventListener("htmx:after:process", () => {
    const { pathname, search } = new URL(performance.getEntriesByType("navigation")[0]?.name ?? location);
    if (pathname + search !== location.pathname + location.search) location.reload();
    // It comes back to marked places alone.
    history.replaceState({ htmx: true }, "");
  }, { once: true });
  const changes = { childList: true, characterData: true, subtree: true };
  new MutationObserver(() => announce(document.title, { shown: false })).observe(document.querySelector("title"), changes);
}
