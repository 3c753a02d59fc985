"""Templates escape everything, show nothing undefined, and leave styles, scripts and htmx where they belong."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from tests.architecture.sources import PACKAGE, project_files
from trustpack.capabilities.directory.model import Handle, Person, PersonStatus
from trustpack.kernel.actor import ActorKind
from trustpack.platform.web.pages.static_files import FOLDER as STATIC
from trustpack.platform.web.pages.static_files import StaticFiles
from trustpack.platform.web.pages.templates import FOLDER, Moment, Templates

JANE = Person("usr_1", 1, PersonStatus.ACTIVE, "jane", "Jane <Doe>", ActorKind.PERSON, frozenset(), frozenset())
MOMENT = Moment(datetime(2026, 11, 21, 14, 30, tzinfo=UTC), nonce="nonce-of-the-page", form_token="token")
TEMPLATES = [path for path in project_files() if path.is_relative_to(PACKAGE) and path.suffix == ".html"]
WITH_HTMX = {"document.html", "layout.html", "palette.html"}


@pytest.fixture
def render(tmp_path):
    """Render the text of a template of a capability."""

    def rendered(text: str, **values: object) -> str:
        (tmp_path / "page.html").write_text(text)
        return Templates(StaticFiles(), {"sample": tmp_path}).render("sample/page.html", MOMENT, values)

    return rendered


@pytest.mark.parametrize(
    "component", ["chip('active', word)", "cell('title', word)", "person(word)", "notice(word)", "copy(word, 'x')"]
)
def test_what_people_wrote_stays_text_in_every_component(render, component: str):
    html = render("{{ " + component + " }}", word='"><b onclick=1>')

    assert "<b onclick" not in html
    assert "&lt;b onclick" in html or "&#34;" in html


@pytest.mark.parametrize("component", ["person(word)", "event('Approved', word)", "keyvalue([('Owner', word)])"])
def test_a_person_is_shown_by_name_with_their_handle_as_title(render, component: str):
    html = render("{{ " + component + " }}", word=Handle.of(JANE))

    assert ">Jane &lt;Doe&gt;<" in html
    assert 'title="jane"' in html


def test_a_moment_among_names_and_values_stays_a_moment(render):
    html = render("{{ keyvalue([('Began', time(now(), 'exact'))]) }}")

    assert "<dd><time datetime=" in html


def test_two_people_with_one_handle_in_two_tenants_are_shown_by_their_own_names(render):
    other = replace(JANE, display_name="Another Jane")

    shown = render("{{ person(one) }}{{ person(two) }}", one=Handle.of(JANE), two=Handle.of(other))

    assert ">Another Jane<" in shown


@pytest.mark.parametrize("component", ["chip('active', %s)", "icon('x', label=%s)"])
def test_a_component_that_was_drawn_with_markup_still_escapes_the_same_text(render, component: str):
    page = "{{ " + component % "markup" + " }}|{{ " + component % "same" + " }}|{{ " + component % "other" + " }}"

    drawn, escaped, other = render(page, markup=Markup("<b>A</b>"), same="<b>A</b>", other="B").split("|")

    assert ("<b>" in drawn, "<b>" in escaped, "&lt;b" in other) == (True, False, False)


@pytest.mark.parametrize(("day", "shown"), [(21, "10:00:00 UTC"), (20, "20 Nov 2026, 10:00:00 UTC")])
def test_what_happened_on_another_day_says_which_and_paper_always_does(render, day: int, shown: str):
    html = render("{{ event('Approved', 'jane', at) }}", at=datetime(2026, 11, day, 10, tzinfo=UTC))

    assert f'<span class="only-shown">{shown}</span>' in html
    assert f'<span class="only-printed">{day} Nov 2026, 10:00:00 UTC</span>' in html


def test_what_is_not_there_is_an_error(render):
    with pytest.raises(UndefinedError):
        render("{{ missing }}")


def test_a_link_carries_the_nonce_of_its_page(render):
    assert 'hx-nonce="nonce-of-the-page"' in render("{{ link('/switchboard', 'Home') }}")


def test_a_form_carries_the_token_of_the_session(render):
    assert '<input type="hidden" name="form_token" value="token">' in render("{% call form('/x') %}{% endcall %}")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_template_holds_styles_handlers_or_unescaped_values(path: Path):
    text = path.read_text()

    assert not re.findall(r"\sstyle=|\son\w+=|<style|\|\s*safe\b|autoescape", text)
    assert all("nonce=" in script for script in re.findall(r"<script[^>]*>", text))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_htmx_is_written_in_components_and_the_frame_alone(path: Path):
    is_allowed = path.parent.name == "components" or (path.parent == FOLDER and path.name in WITH_HTMX)

    assert is_allowed or not re.findall(r"\shx-[\w:-]+=", path.read_text())


@pytest.mark.parametrize("path", sorted((FOLDER / "components").glob("*.html")), ids=lambda path: path.stem)
def test_a_component_is_one_macro_named_like_its_file_and_says_what_it_is(path: Path):
    text = path.read_text()

    assert re.findall(r"{%-? macro (\w+)", text) == [path.stem]
    assert text.startswith("{# ")


def test_every_component_is_shown_on_the_component_pages():
    shown = "".join(path.read_text() for path in (FOLDER / "samples").glob("*.html"))
    shown += "".join((FOLDER / name).read_text() for name in ("layout.html", "top.html", "palette.html", "shortcuts.html"))
    used_by_others = "".join(path.read_text() for path in (FOLDER / "components").glob("*.html"))

    missing = [
        path.stem
        for path in (FOLDER / "components").glob("*.html")
        if not re.search(rf"\b{path.stem}\(", shown) and not re.search(rf"(?<!macro )\b{path.stem}\(", used_by_others)
    ]

    assert missing == []


def test_the_list_of_shortcuts_names_every_key_that_a_button_has():
    sources = [path for path in project_files() if path.is_relative_to(PACKAGE) and path.suffix in {".py", ".html"}]
    keys = {key for path in sources for key in re.findall(r'shortcut="([a-z])"', path.read_text())}
    listed = (FOLDER / "shortcuts.html").read_text()

    assert keys >= {"a", "d", "s"}
    assert {key for key in keys if f"<kbd>{key.upper()}</kbd>" not in listed} == set()


def test_every_drawing_that_is_asked_for_is_in_the_sprite(render):
    sprite = set(re.findall(r'<symbol id="([^"]+)"', (STATIC / "vendor" / "icons.svg").read_text()))
    asked = {name for path in TEMPLATES for name in re.findall(r'icon\("([\w-]+)"', path.read_text())}

    assert asked
    assert asked <= sprite
