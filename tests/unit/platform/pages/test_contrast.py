"""The contrast of all colours that stand on each other, computed from the tokens. Source: WCAG 2.2, 1.4.3 and 1.4.11."""

from __future__ import annotations

import re

import pytest

from trustpack.platform.web.pages.static_files import FOLDER

TEXT, MARK = 4.5, 3.0
PLANES = ("background", "pane", "raised", "overlay", "selected", "hover")
TINTS = ("amber", "blue", "violet", "green", "red", "alarm", "grey")
PAIRS = [
    *((ink, plane, TEXT) for ink in ("text", "muted", "accent-text", "danger-text") for plane in PLANES),
    *(("accent-text", plane, TEXT) for plane in ("accent-tint",)),
    *((f"{tint}-text", f"{tint}-tint", TEXT) for tint in TINTS),
    *((f"{tint}-text", "pane", TEXT) for tint in TINTS if tint != "alarm"),
    *(("text", f"{tint}-tint", TEXT) for tint in TINTS if tint != "alarm"),
    ("on-accent", "accent", TEXT),
    ("on-accent", "accent-strong", TEXT),
    ("on-accent", "violet-fill", MARK),
    *(("focus", plane, MARK) for plane in PLANES),
    *(("control-edge", plane, MARK) for plane in ("pane", "overlay")),
    *((f"mark-{mark}", "pane", MARK) for mark in ("reverted", "open", "accent")),
]


def tokens() -> dict[str, tuple[str, str]]:
    """Each colour token as its light and its dark value."""
    text = (FOLDER / "css" / "tokens.css").read_text()
    both = re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", text)
    one = re.findall(r"--([\w-]+): (#[0-9a-f]{6});", text)
    return {name: (light, dark) for name, light, dark in both} | {name: (colour, colour) for name, colour in one}


def luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_computed_as_the_standard_says():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize(("ink", "plane", "needed"), PAIRS, ids=str)
def test_a_colour_can_be_told_from_what_it_stands_on(ink: str, plane: str, needed: float):
    colours = tokens()

    found = [round(contrast(one, other), 2) for one, other in zip(colours[ink], colours[plane], strict=True)]

    assert min(found) >= needed, f"{ink} on {plane}: light {found[0]}, dark {found[1]}"


def test_rules_take_colours_from_tokens_alone():
    allowed = {"#ffffff", "#000000"}
    for sheet in (FOLDER / "css").glob("*.css"):
        if sheet.name == "tokens.css":
            continue
        others = set(re.findall(r"#[0-9a-fA-F]{3,8}\b", sheet.read_text())) - allowed
        assert not others, f"{sheet.name}: {others}"


def test_every_token_is_in_use():
    named = set(re.findall(r"^ +(--[\w-]+):", (FOLDER / "css" / "tokens.css").read_text(), re.MULTILINE))
    used = {name for sheet in (FOLDER / "css").glob("*.css") for name in re.findall(r"var\((--[\w-]+)", sheet.read_text())}

    assert named - used == set()
