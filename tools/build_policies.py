"""Build, compare and check the policy bundles: Rego below `policies/` -> `policies/dist/<name>.{tar.gz,wasm,json}`.

A directory with a `bundle.json` describes one bundle, of the Rego in it and of the files beside it that bear its name:
`policies/revops/lead_routing/` is the bundle `revops_lead_routing`, of `policies/revops/lead_routing.rego` and its test.

    python tools/build_policies.py                  write policies/dist
    python tools/build_policies.py --check          compare policies/dist with a fresh build; exit 1 on any difference
    python tools/build_policies.py --lint           opa fmt, opa check --strict, opa test with full coverage; exit 1 on a fault
    python tools/build_policies.py --lint --check   both

Exit 3: the pinned OPA is missing. Needs `trustpack` to be importable; running the product needs neither this nor OPA.
The same sources give the same bytes on every machine: the archive is stored uncompressed, because deflate output differs
between zlib versions, and carries no times or owners.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from trustpack.capabilities.policy.adapters.bundle_files import ARCHIVE_MANIFEST, FORMAT, load_bundles
from trustpack.capabilities.policy.rules.documents import digest_of_sources
from trustpack.proof.canonical import digest_of_value

ROOT: Final = Path(__file__).resolve().parent.parent
POLICIES: Final = ROOT / "policies"
DIST: Final = POLICIES / "dist"
CAPABILITIES: Final = POLICIES / "portable.json"
OPA_VERSION: Final = "1.22.2"
EXIT_NO_OPA: Final = 3
FULL_COVERAGE: Final = 100
STORED_BLOCK_BYTES: Final = 0xFFFF


class BuildFailed(Exception):
    """A policy does not build or does not pass its checks."""


def find_opa() -> str | None:
    """Return the pinned OPA from `TRUSTPACK_TEST_OPA`, `.tools/opa` or the PATH; None if none of them is it."""
    candidates = (os.environ.get("TRUSTPACK_TEST_OPA"), str(ROOT / ".tools" / "opa"), shutil.which("opa"))
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            answer = subprocess.run([candidate, "version"], capture_output=True, text=True, check=False)
            if f"Version: {OPA_VERSION}\n" in answer.stdout:
                return candidate
    return None


def run_opa(opa: str, *arguments: str, cwd: Path) -> str:
    """Run OPA and return what it printed; raise `BuildFailed` with its words if it fails."""
    answer = subprocess.run([opa, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise BuildFailed(f"opa {arguments[0]} failed:\n{answer.stdout}{answer.stderr}".rstrip())
    return answer.stdout


def bundle_directories() -> list[Path]:
    """Return the directory of every bundle, in the order of their names."""
    return sorted(path.parent for path in POLICIES.glob("**/bundle.json"))


def root_of(directory: Path) -> str:
    """Return the part of the policy tree that a bundle owns; an OPA server refuses bundles whose roots overlap."""
    return directory.relative_to(POLICIES).as_posix()


def sources_of(directory: Path, *, tests: bool) -> dict[str, bytes]:
    """Return the Rego files of a bundle by their path below `policies/`, with or without the tests."""
    beside = (directory.with_name(f"{directory.name}{suffix}") for suffix in (".rego", "_test.rego"))
    return {
        path.relative_to(POLICIES).as_posix(): path.read_bytes()
        for path in sorted([*directory.glob("*.rego"), *(path for path in beside if path.exists())])
        if tests or not path.name.endswith("_test.rego")
    }


def build(opa: str, directory: Path) -> dict[str, bytes]:
    """Return the three files of one bundle."""
    about = json.loads((directory / "bundle.json").read_text())
    name = root_of(directory).replace("/", "_")
    sources = sources_of(directory, tests=False)
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in sources.items()}
    policy_digest = digest_of_sources(digests)
    revision = f"{about['version']}+{policy_digest.removeprefix('sha256:')[:16]}"
    entrypoint = f"{about['package'].replace('.', '/')}/decision"
    own_manifest = {"revision": revision, "roots": [root_of(directory)], "rego_version": 1}
    archive = gzip_stored(tar({ARCHIVE_MANIFEST: json.dumps(own_manifest, sort_keys=True).encode() + b"\n", **sources}))
    wasm = compile_wasm(opa, sources, entrypoint)
    schema = input_schema(directory)
    parameters = json.loads((directory / "parameters.json").read_text())
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "name": name,
        "package": about["package"],
        "entrypoint": entrypoint,
        "revision": revision,
        "policy_digest": policy_digest,
        "sources": digests,
        "input_schema": schema,
        "schema_digest": digest_of_value(schema),
        "default_parameters": parameters,
        "parameters_digest": digest_of_value(parameters),
        "opa_version": OPA_VERSION,
        "archive_sha256": hashlib.sha256(archive).hexdigest(),
        "wasm_sha256": hashlib.sha256(wasm).hexdigest(),
    }
    return {
        f"{name}.tar.gz": archive,
        f"{name}.wasm": wasm,
        f"{name}.json": json.dumps(manifest, indent=2).encode() + b"\n",
    }


def input_schema(directory: Path) -> dict[str, Any]:
    """Return the input schema with the schema of the parameters embedded, so that nothing needs to be looked up."""
    schema: dict[str, Any] = json.loads((directory / "input.schema.json").read_text())
    schema["$defs"]["parameters"] = json.loads((directory / "parameters.schema.json").read_text())
    return schema


def compile_wasm(opa: str, sources: Mapping[str, bytes], entrypoint: str) -> bytes:
    """Return the Wasm module that OPA's own compiler makes of the sources."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for path, data in sources.items():
            (root / "src" / path).parent.mkdir(parents=True, exist_ok=True)
            (root / "src" / path).write_bytes(data)
        run_opa(
            opa, "build", "--target", "wasm", "--entrypoint", entrypoint, "--capabilities", str(CAPABILITIES),
            "--bundle", ".", "--output", "../built.tar.gz", cwd=root / "src",
        )  # fmt: skip
        with tarfile.open(root / "built.tar.gz") as built:
            module = built.extractfile("/policy.wasm")
            if module is None:
                raise BuildFailed("opa build made no policy.wasm")
            return module.read()


def tar(files: Mapping[str, bytes]) -> bytes:
    """Return a tar archive without times or owners, members in the order of their names."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size = len(files[name])
            archive.addfile(member, io.BytesIO(files[name]))
    return buffer.getvalue()


def gzip_stored(data: bytes) -> bytes:
    """Return a gzip file of stored blocks only. Source: RFC 1951 section 3.2.4, RFC 1952 section 2.3."""
    pieces = [data[start : start + STORED_BLOCK_BYTES] for start in range(0, len(data), STORED_BLOCK_BYTES)] or [b""]
    blocks = [
        struct.pack("<BHH", position == len(pieces), len(piece), len(piece) ^ 0xFFFF) + piece
        for position, piece in enumerate(pieces, start=1)
    ]
    header = b"\x1f\x8b\x08\x00" + bytes(5) + b"\xff"
    return header + b"".join(blocks) + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def lint(opa: str, directory: Path) -> None:
    """Raise `BuildFailed` unless the Rego is formatted, strict, portable, tested and fully covered."""
    files = list(sources_of(directory, tests=True))
    unformatted = run_opa(opa, "fmt", "--list", *files, cwd=POLICIES).strip()
    if unformatted:
        raise BuildFailed(f"not formatted as `opa fmt` would:\n{unformatted}")
    run_opa(opa, "check", "--strict", "--capabilities", str(CAPABILITIES), *files, cwd=POLICIES)
    run_opa(opa, "test", "--fail-on-empty", *files, cwd=POLICIES)
    report = json.loads(run_opa(opa, "test", "--coverage", "--format", "json", *files, cwd=POLICIES))
    if report["coverage"] != FULL_COVERAGE:
        gaps = {name: file["not_covered"] for name, file in report["files"].items() if file.get("not_covered")}
        raise BuildFailed(f"the tests cover {report['coverage']} % of {root_of(directory)}: {json.dumps(gaps)}")


def compare(files: Mapping[str, bytes]) -> None:
    """Raise `BuildFailed` unless `policies/dist` holds exactly these bytes."""
    present = {path.name: path.read_bytes() for path in DIST.glob("*")}
    differing = sorted(name for name in present.keys() | files.keys() if present.get(name) != files.get(name))
    if differing:
        raise BuildFailed(f"policies/dist is not what the sources build: {', '.join(differing)}; run tools/build_policies.py")


def write(files: Mapping[str, bytes]) -> None:
    """Make `policies/dist` hold exactly these files, each loadable by the product."""
    DIST.mkdir(exist_ok=True)
    for path in DIST.glob("*"):
        if path.name not in files:
            path.unlink()
    for name, data in files.items():
        (DIST / name).write_bytes(data)
    load_bundles(DIST)


def main() -> int:
    """Run the chosen modes and return the exit code."""
    parser = argparse.ArgumentParser(description="Build, compare and check the policy bundles.")
    parser.add_argument("--check", action="store_true", help="compare policies/dist with a fresh build, write nothing")
    parser.add_argument("--lint", action="store_true", help="format, strict check and fully covered tests of the Rego")
    options = parser.parse_args()
    opa = find_opa()
    if opa is None:
        install = f"GOBIN={ROOT / '.tools'} go install github.com/open-policy-agent/opa@v{OPA_VERSION}"
        print(f"OPA {OPA_VERSION} was not found; run `{install}` or name it in TRUSTPACK_TEST_OPA", file=sys.stderr)
        return EXIT_NO_OPA
    try:
        if options.lint:
            for directory in bundle_directories():
                lint(opa, directory)
        if options.check or not options.lint:
            files = {name: data for directory in bundle_directories() for name, data in build(opa, directory).items()}
            (compare if options.check else write)(files)
    except BuildFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
