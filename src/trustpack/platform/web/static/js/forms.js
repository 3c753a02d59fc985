/** Filters send themselves; a form that writes says that it is busy, and is sent once. */
export function watchForms() {
  addEventListener("change", ({ target }) => {
    if (target.matches("[data-sends-itself] :is(select, [type=checkbox])")) target.form.requestSubmit();
  });
  addEventListener("click", (event) => {
    const toggle = event.target.closest("[data-toggles]");
    if (toggle) toggle.ariaExpanded = String(toggle.ariaExpanded !== "true");
  });
  document.addEventListener("submit", (event) => {
    const { busy } = event.target.dataset;
    if (!busy) return;
    if (event.target.ariaBusy === "true") {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    const label = event.submitter?.querySelector("span");
    const before = label?.textContent;
    event.target.ariaBusy = "true";
    if (label) label.textContent = busy;
    const end = () => {
      event.target.ariaBusy = null;
      if (label) label.textContent = before;
    };
    event.target.addEventListener("htmx:finally:request", end, { once: true });
    addEventListener("pageshow", end, { once: true });
  }, true);
  // The answer stands on the page, not in what asked.
  addEventListener("htmx:before:swap", (event) => {
    const { sourceElement: source, request } = event.detail.ctx ?? {};
    // A refresh of a page that has been left since.
    if (source?.id === "fresh" && request.action !== location.pathname + location.search) event.preventDefault();
    source?.closest("dialog:not(.palette)")?.close();
    const menu = source?.closest(".menu");
    menu?.querySelector("summary").focus();
    menu?.removeAttribute("open");
  });
}
