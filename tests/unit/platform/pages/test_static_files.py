"""What browsers get is what was committed, under names that say its content, and little of it."""

from __future__ import annotations

import hashlib
import re

import pytest

from trustpack.platform.web.pages.static_files import FOLDER, StaticFiles

VENDOR = FOLDER / "vendor"
OWN_SCRIPT_BYTES = 15_000


@pytest.fixture(scope="module")
def files() -> StaticFiles:
    return StaticFiles()


def own(suffix: str) -> list[str]:
    return [path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob(f"*{suffix}") if "vendor" not in path.parts]


def content_of(files: StaticFiles, name: str) -> bytes:
    found = files.find(files.address(name).removeprefix("/switchboard/static/"))
    assert found is not None
    return found.content


def test_vendored_files_are_those_that_were_pinned_and_no_others():
    pinned = dict(reversed(line.split("  ")) for line in (VENDOR / "SHA256SUMS").read_text().splitlines())
    kept = {
        path.relative_to(VENDOR).as_posix(): path for path in VENDOR.rglob("*") if path.is_file() and path.name != "SHA256SUMS"
    }

    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in kept.items()} == pinned


def test_every_vendored_file_has_its_version_and_its_licence():
    versions = (VENDOR / "VERSIONS").read_text()
    licences = {path.name for path in (VENDOR / "LICENSES").iterdir()}

    assert licences == {"htmx.txt", "inter.txt", "jetbrains-mono.txt", "lucide.txt"}
    for name in ("htmx.org 4.0.1", "inter 5.3.0", "jetbrains-mono 5.3.0", "lucide-static 1.62.0"):
        assert name in versions
    for path in (path for path in VENDOR.iterdir() if path.suffix in {".js", ".woff2"}):
        assert path.name in versions


def test_a_name_holds_the_digest_of_the_content(files: StaticFiles):
    address = files.address("js/main.js")

    assert hashlib.sha256(content_of(files, "js/main.js")).hexdigest()[:16] in address
    assert re.fullmatch(r"/switchboard/static/js/main\.[0-9a-f]{16}\.js", address)


def test_a_change_of_an_imported_file_changes_the_name_of_its_importer(tmp_path):
    (tmp_path / "a.js").write_text('import { b } from "./b.js";\n')
    (tmp_path / "b.js").write_text("export const b = 1;\n")
    before = StaticFiles(tmp_path).address("a.js")

    (tmp_path / "b.js").write_text("export const b = 2;\n")

    assert StaticFiles(tmp_path).address("a.js") != before


@pytest.mark.parametrize("name", [*own(".js"), *own(".css")])
def test_files_name_each_other_by_served_addresses(files: StaticFiles, name: str):
    text = content_of(files, name).decode()

    named = re.findall(r"""(?:from |import |url\()["']([^"']+)["']""", text)
    assert all(files.find(address.removeprefix("/switchboard/static/")) for address in named), named


def test_an_unknown_name_is_a_mistake_of_ours(files: StaticFiles):
    with pytest.raises(KeyError):
        files.address("css/none.css")
    with pytest.raises(KeyError):
        files.address("vendor/LICENSES/htmx.txt")


def test_our_own_scripts_stay_small():
    assert sum((FOLDER / name).stat().st_size for name in own(".js")) < OWN_SCRIPT_BYTES
