"""Everything can be reached, seen and undone with keys; single keys open things and can be switched off."""

from __future__ import annotations

from playwright.async_api import expect

from tests.browser.conftest import Visit, ready

FOCUSED = """() => { const element = document.activeElement; const box = element.getBoundingClientRect();
  const head = document.querySelector('thead th')?.getBoundingClientRect();
  return { name: element.id || element.textContent.trim() || element.ariaLabel, inside: element.checkVisibility()
    && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
    covered: Boolean(head && element.closest('tbody') && box.top < head.bottom - 1) } }"""


async def test_tab_walks_through_the_whole_page_in_view(visit: Visit):
    page = await visit("/switchboard/components/list/HRR-1048")
    await page.keyboard.press("Tab")
    first = await page.evaluate(FOCUSED)
    seen = [first]

    while len(seen) < 200:
        await page.keyboard.press("Tab")
        focused = await page.evaluate(FOCUSED)
        if focused["name"] in {first["name"], ""}:
            break
        seen.append(focused)

    names = [one["name"] for one in seen]
    assert names[0] == "Skip to the content"
    assert [one["name"] for one in seen if not one["inside"] or one["covered"]] == []
    assert names.index("A list") < names.index("filter-text") < names.index("HRR-1048") < names.index("opens-revert")


async def test_a_pane_takes_the_focus_and_is_scrolled_by_keys(visit: Visit):
    page = await visit("/switchboard/components/list/HRR-1048", height=500)
    pane = page.get_by_role("group", name="Evidence", exact=True)
    await page.get_by_label("Parts of HRR-1048").get_by_role("link").last.focus()

    await page.keyboard.press("Tab")
    await expect(pane).to_be_focused()
    await page.keyboard.press("End")

    await page.wait_for_function("pane => pane.scrollTop > 0", arg=await pane.element_handle())
    assert await pane.evaluate("pane => getComputedStyle(pane).outlineStyle") == "solid"


async def test_j_and_k_move_between_rows_and_stay_below_the_head(visit: Visit):
    page = await visit("/switchboard/components/list/HRR-1048", height=500)
    rows = page.locator("td.cell-key a")

    await page.keyboard.press("j")
    await expect(rows.nth(0)).to_be_focused()
    for _ in range(20):
        await page.keyboard.press("j")
    await expect(rows.nth(20)).to_be_focused()
    for _ in range(12):
        await page.keyboard.press("k")

    await expect(rows.nth(8)).to_be_focused()
    assert not (await page.evaluate(FOCUSED))["covered"]


async def test_a_key_opens_a_dialog_and_escape_gives_the_focus_back(visit: Visit):
    page = await visit("/switchboard/components")
    await page.locator("#opens-approve").focus()

    await page.keyboard.press("a")
    await expect(page.locator("#field-approve-reason")).to_be_focused()
    await page.keyboard.press("Escape")

    await expect(page.locator("#approve")).not_to_be_visible()
    await expect(page.locator("#opens-approve")).to_be_focused()


async def test_single_keys_do_nothing_once_they_are_off(visit: Visit):
    page = await visit("/switchboard/components")
    await page.keyboard.press("?")
    await page.locator("#single-keys").uncheck()
    await page.keyboard.press("Escape")

    await page.reload()
    await ready(page)
    for key in ("a", "d", "?", "j"):
        await page.keyboard.press(key)

    assert await page.locator("dialog[open]").count() == 0
    await page.keyboard.press("Control+k")
    await expect(page.locator("#palette-text")).to_be_focused()


async def test_typing_is_no_shortcut(visit: Visit):
    page = await visit("/switchboard/components/list")
    await page.keyboard.press("/")

    await page.keyboard.type("jad?")

    await expect(page.locator("#filter-text")).to_have_value("jad?")
    assert await page.locator("dialog[open]").count() == 0


async def test_the_palette_finds_an_object_and_goes_there(visit: Visit):
    page = await visit("/switchboard/components/list")
    await page.keyboard.press("Control+k")
    await page.keyboard.type("hrr-1048")
    await expect(page.locator("#found-1")).to_have_attribute("aria-selected", "true")
    assert "<img" in await page.locator("#found-1").inner_text()

    await page.keyboard.press("Enter")

    await expect(page).to_have_url(f"{page.url.partition('/switchboard')[0]}/switchboard/components/list/HRR-1048")
    await expect(page.locator("h1")).to_contain_text("Attach IAM policy")
    await expect(page.locator("#palette")).not_to_be_visible()


async def test_the_palette_keeps_what_was_typed_before_the_browser_told_that_it_is_open(visit: Visit):
    page = await visit("/switchboard/components/list")

    await page.evaluate("""() => new Promise((told) => {
      document.getElementById("palette").addEventListener("toggle", told, { once: true });
      document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "k", ctrlKey: true, bubbles: true }));
      document.execCommand("insertText", false, "hr");
    })""")
    await page.keyboard.type("r-1048")

    await expect(page.locator("#palette-text")).to_have_value("hrr-1048")


async def test_the_palette_lets_its_next_words_replace_the_last(visit: Visit):
    page = await visit("/switchboard/components/list")
    await page.keyboard.press("Control+k")
    await page.keyboard.type("board")
    await page.keyboard.press("Escape")

    await page.keyboard.press("Control+k")
    await page.keyboard.type("list")

    await expect(page.locator("#palette-text")).to_have_value("list")


async def test_the_palette_leaves_the_commands_that_fit(visit: Visit):
    page = await visit("/switchboard/components/list")
    await page.keyboard.press("Control+k")

    await page.keyboard.type("board")
    await expect(page.locator("#command-sample-list")).not_to_be_visible()
    chosen = await page.locator("#palette-text").get_attribute("aria-activedescendant")
    await page.keyboard.press("Enter")

    assert chosen == "command-sample-board"
    await expect(page.locator("h1")).to_have_text("High-risk operations")


async def test_the_palette_says_so_when_nothing_fits(visit: Visit):
    page = await visit("/switchboard/components/list")
    await page.keyboard.press("Control+k")
    said = page.locator("#palette").get_by_role("status")
    await expect(page.locator("#palette-text")).to_be_focused()
    await expect(said).to_have_count(0)

    await page.keyboard.type("no such thing")

    await expect(said).to_contain_text("Nothing fits")
