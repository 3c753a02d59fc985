/** Let arrows choose among the options, and typing leave the commands that fit. */
export function watchPalette() {
  const palette = document.getElementById("palette");
  if (!palette) return;
  const input = document.getElementById("palette-text");
  const options = () => [...palette.querySelectorAll(".option:not([hidden])")];
  const selected = () => palette.querySelector('[aria-selected="true"]');

  const select = (option) => {
    selected()?.setAttribute("aria-selected", "false");
    option?.setAttribute("aria-selected", "true");
    option?.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", option?.id ?? "");
  };
  const narrow = () => {
    const words = input.value.trim().toLowerCase();
    for (const option of palette.querySelectorAll('[id^="command-"]')) {
      option.hidden = !option.textContent.toLowerCase().includes(words);
    }
    select(options()[0]);
  };

  input.addEventListener("input", narrow);
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      const all = options();
      event.preventDefault();
      select(all[(all.indexOf(selected()) + step + all.length) % all.length]);
    } else if (event.key === "Enter" && selected()) {
      event.preventDefault();
      selected().click();
    }
  });
  palette.addEventListener("htmx:after:swap", () => select(options()[0]));
  palette.addEventListener("click", (event) => {
    if (event.target.closest(".option")) palette.close();
  });
  palette.addEventListener("opened", () => {
    input.select();
    narrow();
  });
}
