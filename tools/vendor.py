"""Write the third-party files that browsers get anew, from npm packages at exact versions (for developers; needs npm).

The written files are committed and are what is served; `SHA256SUMS` pins them, and a test compares. Idempotent.
"""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

STATIC = Path(__file__).resolve().parents[1] / "src" / "trustpack" / "platform" / "web" / "static"
VENDOR = STATIC / "vendor"


@dataclass(frozen=True, slots=True)
class Package:
    """One npm package: its version, the digest of its archive, its licence, and which files become which."""

    name: str
    version: str
    integrity: str
    licence: str
    files: dict[str, str]


PACKAGES = (
    Package(
        "htmx.org",
        "4.0.1",
        "sha512-oF7JgXhDW9UXCy/k1ZYFUQgzu/rm19ORWPSPNL91vPluB2PB9+MV55tyQdH/w7o2EAbTYUG5SDW1R60mdkdqGg==",
        "0BSD",
        {
            "dist/htmx.min.js": "htmx.js",
            "dist/ext/hx-csp.min.js": "hx-csp.js",
            "dist/ext/hx-sse.min.js": "hx-sse.js",
            "LICENSE": "LICENSES/htmx.txt",
        },
    ),
    Package(
        "@fontsource-variable/inter",
        "5.3.0",
        "sha512-OupL48va4JNofb97w6NYeF9S7W/kHNKM0Er8Dem5nqi4jeOLrVJDoE8tZEpnMJmtkvNbB1EIPPwHcdkF6b1oUA==",
        "OFL-1.1",
        {"files/inter-latin-wght-normal.woff2": "inter.woff2", "LICENSE": "LICENSES/inter.txt"},
    ),
    Package(
        "@fontsource-variable/jetbrains-mono",
        "5.3.0",
        "sha512-F32xpS2NsGYoQi2ADSkKTgpJj7ozajsGgDJ8woTnqjmIB+dxDIqImjl4pXZVEExu8UFZ2ndhmX18EBS/hdz3Lw==",
        "OFL-1.1",
        {"files/jetbrains-mono-latin-wght-normal.woff2": "jetbrains-mono.woff2", "LICENSE": "LICENSES/jetbrains-mono.txt"},
    ),
    Package(
        "lucide-static",
        "1.62.0",
        "sha512-WBZA/m2PvkFpMGHDtsBck5P2A9G4ehLlYu4GwwICcmEm1BvYVgj00lCDxKRWLlbMlOibLaiwdQ88G5pHkSWgwA==",
        "ISC",
        {"LICENSE": "LICENSES/lucide.txt"},
    ),
)

ICONS = Path(__file__).with_name("icons.txt").read_text(encoding="utf-8").split()
"""The drawings in use; a test looks for those that templates ask for."""


def unpack(package: Package, folder: Path) -> Path:
    """Fetch a package and return the folder of its files. Exits when the archive is not the one that was pinned."""
    packed = subprocess.run(
        ["npm", "pack", "--silent", f"{package.name}@{package.version}"], cwd=folder, capture_output=True, text=True, check=True
    )
    archive = folder / packed.stdout.strip().splitlines()[-1]
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != package.integrity:
        sys.exit(f"vendor: {package.name}@{package.version} is {found}, not {package.integrity}")
    target = folder / package.name.replace("/", "-")
    with tarfile.open(archive) as opened:
        opened.extractall(target, filter="data")
    return target / "package"


def sprite(icons: Path) -> str:
    """Return one SVG with a symbol for each icon in use, drawn with the colour of the text around it."""
    symbols = []
    for name in sorted(ICONS):
        drawing = (icons / f"{name}.svg").read_text(encoding="utf-8")
        body = re.sub(r"\s+", " ", drawing.partition("<svg")[2].partition(">")[2].rpartition("</svg>")[0]).strip()
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{body.replace(" />", "/>").replace("> <", "><")}</symbol>')
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def main() -> None:
    """Write every file and its checksum."""
    for old in (path for path in VENDOR.rglob("*") if path.is_file()):
        old.unlink()
    (VENDOR / "LICENSES").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for package in PACKAGES:
            unpacked = unpack(package, Path(scratch))
            for source, target in package.files.items():
                # A browser would ask for the source map, which is not kept.
                content = re.sub(rb"\n?//# sourceMappingURL=\S*\s*$", b"\n", (unpacked / source).read_bytes())
                (VENDOR / target).write_bytes(content)
            if package.name == "lucide-static":
                (VENDOR / "icons.svg").write_text(sprite(unpacked / "icons"), encoding="utf-8")
    lines = [f"{package.name} {package.version} ({package.licence}): {', '.join(package.files.values())}" for package in PACKAGES]
    (VENDOR / "VERSIONS").write_text("\n".join(lines) + "\n", encoding="utf-8")
    files = sorted(path for path in VENDOR.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(VENDOR).as_posix()}" for path in files]
    (VENDOR / "SHA256SUMS").write_text("\n".join(sums) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
