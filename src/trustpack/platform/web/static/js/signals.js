/** Show that signals arrive; dialogs come first. */
export function watchSignals() {
  const on = (name, act) => document.addEventListener(name, act, true);
  const show = (text) => {
    const state = window["live-state"];
    state.textContent = text;
    state.classList.toggle("is-live", text === "Live");
  };
  let held;
  on("htmx:sse:after:connection", () => show("Live"));
  on("htmx:sse:error", () => show("Not live"));
  on("htmx:before:request", (event) => {
    if (event.target.id !== "fresh") return;
    held = document.querySelector("main :modal");
    if (held) event.preventDefault();
  });
  on("close", () => held && window.fresh?.dispatchEvent(new Event("freed")));
}
