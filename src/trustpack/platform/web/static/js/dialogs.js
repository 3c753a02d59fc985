let openerId = "";

/** Open a dialog by its id; focus goes back to what opened it. */
export function openDialog(id, opener = document.activeElement) {
  const dialog = document.getElementById(id);
  if (!dialog || dialog.open) return;
  // A dialog over a dialog takes its place.
  document.querySelector("dialog[open]")?.close();
  openerId = opener?.id || "";
  dialog.showModal();
  // A `toggle` may come after the first letters.
  dialog.dispatchEvent(new Event("opened"));
}

/** Let `data-opens` open a dialog, and `data-closes` close the one around it. */
export function watchDialogs() {
  addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener && !event.ctrlKey && !event.metaKey && document.getElementById(opener.dataset.opens)) {
      event.preventDefault();
      openDialog(opener.dataset.opens, opener);
    }
    event.target.closest("[data-closes]")?.closest("dialog").close();
    if (event.target.matches("dialog[open]") && isOutside(event)) event.target.close();
    for (const menu of document.querySelectorAll(".menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector(".menu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  // Focus returns by itself, unless the opener was replaced.
  document.addEventListener("close", () => {
    if (document.activeElement === document.body) document.getElementById(openerId)?.focus();
  }, true);
}

function isOutside({ target, clientX, clientY }) {
  const box = target.getBoundingClientRect();
  return clientX < box.left || clientX > box.right || clientY < box.top || clientY > box.bottom;
}
