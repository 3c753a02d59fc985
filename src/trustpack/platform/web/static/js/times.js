import { announce } from "./announce.js";

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;
const SPOKEN = [300, 60, 0];

// The server's clock counts; the browser's may be wrong.
const offset = Date.parse(document.documentElement.dataset.now) - Date.now();
const secondsUntil = (time) => Math.floor((Date.parse(time) - Date.now() - offset) / 1000);
const two = (number) => String(number).padStart(2, "0");

/** The same words as `relative_time` of the server; null where it shows a date, which does not change. */
export function relative(seconds) {
  const size = Math.abs(seconds);
  if (size >= 7 * DAY) return null;
  if (size < MINUTE) return seconds >= 0 ? "just now" : "in a moment";
  const [unit, name] = size < 2 * HOUR ? [MINUTE, "min"] : size < 2 * DAY ? [HOUR, "h"] : [DAY, "days"];
  const amount = `${Math.floor(size / unit)} ${name}`;
  return seconds > 0 ? `${amount} ago` : `in ${amount}`;
}

function remaining(seconds) {
  const hours = Math.floor(seconds / HOUR);
  const minutes = Math.floor(seconds / MINUTE) % MINUTE;
  const rest = two(seconds % MINUTE);
  return hours ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}

function showTimers() {
  for (const timer of document.querySelectorAll("[data-until]")) {
    const left = secondsUntil(timer.dataset.until);
    timer.textContent = left > 0 ? remaining(left) : timer.dataset.after;
    const bar = timer.parentElement.querySelector("progress");
    if (bar) bar.value = left;
    const spoken = SPOKEN.find((limit) => left <= limit && left > limit - 2);
    if (spoken !== undefined && timer.dataset.spoken !== String(spoken)) {
      timer.dataset.spoken = spoken;
      announce(spoken ? `${remaining(spoken)} left` : timer.dataset.after, { shown: false });
    }
  }
}

function showRelativeTimes() {
  for (const shown of document.querySelectorAll("[data-relative]")) {
    const words = relative(-secondsUntil(shown.parentElement.dateTime));
    if (words) shown.textContent = words;
  }
}

/** Keep times that run, and times that grow old, as the server would show them now. */
export function watchTimes() {
  showTimers();
  setInterval(showTimers, 1000);
  setInterval(showRelativeTimes, 15000);
}
