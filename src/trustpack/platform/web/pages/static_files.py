"""Static files, read once, under names that hold the digest of their content: a name never changes its meaning."""

from __future__ import annotations

import gzip
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from trustpack.platform.web.pages.headers import STATIC_PATH

FOLDER = Path(__file__).resolve().parents[1] / "static"
MEDIA_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_DIGEST_LENGTH = 16
_NAMED_FILE = re.compile(r"""(url\(|from |import )(["'])(\.{1,2}/[\w./-]+)\2""")


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is sent; `gzipped` is None where that saves nothing."""

    content: bytes
    gzipped: bytes | None
    media_type: str


class StaticFiles:
    """Every served file of one folder. Files that name each other name the address with the digest."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._addresses: dict[str, str] = {}
        self._files: dict[str, StaticFile] = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix in MEDIA_TYPES:
                self.address(path.relative_to(folder).as_posix())

    def address(self, name: str) -> str:
        """Return the path of a file, such as `/switchboard/static/css/base.0123456789abcdef.css`. Raises `KeyError`."""
        if name not in self._addresses:
            self._add(name)
        return self._addresses[name]

    def find(self, hashed_name: str) -> StaticFile | None:
        """Return the file that a hashed name stands for."""
        return self._files.get(hashed_name)

    def _add(self, name: str) -> None:
        path = self._folder / name
        if path.suffix not in MEDIA_TYPES or not path.is_file():
            raise KeyError(name)
        content = path.read_bytes()
        if path.suffix in {".css", ".js"} and "vendor" not in path.parts:
            content = self._with_addresses(name, content.decode()).encode()
        stem, suffix = name[: -len(path.suffix)], path.suffix
        hashed = f"{stem}.{sha256(content).hexdigest()[:_DIGEST_LENGTH]}{suffix}"
        self._addresses[name] = f"{STATIC_PATH}/{hashed}"
        gzipped = None if suffix == ".woff2" else gzip.compress(content, mtime=0)
        self._files[hashed] = StaticFile(content, gzipped, MEDIA_TYPES[suffix])

    def _with_addresses(self, name: str, text: str) -> str:
        def address(match: re.Match[str]) -> str:
            named = posixpath.normpath(posixpath.join(posixpath.dirname(name), match[3]))
            return f"{match[1]}{match[2]}{self.address(named)}{match[2]}"

        return _NAMED_FILE.sub(address, text)
