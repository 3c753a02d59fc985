"""Put the product into the environment that runs this script: `src` on its path, and the command `trustpack` beside its Python.

No package is built, so no build backend has to be pinned and hashed. Idempotent; standard library only.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

# -P: the current directory must not come before our own code. A shell script rather than a Python one, because the first line of
# a script breaks when the checkout lies under a path that is long or has a space in it.
COMMAND = """\
#!/bin/sh
exec "$(dirname "$(readlink -f "$0")")/python" -P -c '
import sys

from trustpack.app.cli import main

sys.argv[0] = "trustpack"
sys.exit(main())
' "$@"
"""


def link_source(*, source: Path, site_packages: Path, scripts: Path) -> None:
    """Make `import trustpack` and the command `trustpack` work in one environment; the path is kept relative."""
    relative = os.path.relpath(source, site_packages)
    (site_packages / "trustpack.pth").write_text(f"{relative}\n", encoding="utf-8")
    command = scripts / "trustpack"
    command.write_text(COMMAND, encoding="utf-8")
    command.chmod(0o755)


if __name__ == "__main__":
    if sys.prefix == sys.base_prefix:
        sys.exit("link_source: run this with the Python of a virtual environment")
    link_source(
        source=Path(__file__).resolve().parent.parent / "src",
        site_packages=Path(sysconfig.get_path("purelib")),
        scripts=Path(sysconfig.get_path("scripts")),
    )
