const SHOWN_MS = 2400;
let timer;

/** Say something to those who listen, and show it to those who look. */
export function announce(text, { shown = true } = {}) {
  const { announcements, toast } = window;
  announcements.textContent = "";
  requestAnimationFrame(() => { announcements.textContent = text; });
  if (!shown) return;
  toast.textContent = text;
  toast.classList.add("is-shown");
  clearTimeout(timer);
  timer = setTimeout(() => toast.classList.remove("is-shown"), SHOWN_MS);
}
