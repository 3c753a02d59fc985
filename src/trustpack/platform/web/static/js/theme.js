import { announce } from "./announce.js";

const THEMES = ["system", "light", "dark"];
const YEAR_SECONDS = 31536000;

/** Switch between the system's theme, light and dark; a cookie tells the server. */
export function watchTheme() {
  addEventListener("click", (event) => {
    if (!event.target.closest("[data-next-theme]")) return;
    event.preventDefault();
    const { dataset } = document.documentElement;
    const theme = THEMES[(THEMES.indexOf(dataset.theme) + 1) % THEMES.length];
    const said = `Colour theme: ${theme}`;
    dataset.theme = theme;
    document.cookie = `theme=${theme}; path=/switchboard; max-age=${YEAR_SECONDS}; samesite=lax`;
    for (const button of document.querySelectorAll("button[data-next-theme]")) {
      button.title = said;
      button.ariaLabel = said;
    }
    announce(said);
  });
}
