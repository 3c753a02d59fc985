"""Bundles on disk: three files per policy, checked against each other before any of them is used.

`<name>.json` ties `<name>.tar.gz` (for an OPA server) and `<name>.wasm` (for the embedded engine) to the same sources.
Written by `tools/build_policies.py`.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from trustpack.capabilities.policy.model import BundleInvalid, BundleRef, InputRejected, ParametersInvalid, PolicyBundle
from trustpack.capabilities.policy.rules.documents import check_parameters, compile_schema, digest_of_sources, parse_json
from trustpack.proof.canonical import digest_of_value

FORMAT: Final = "trustpack-policy-bundle/v1"
ARCHIVE_MANIFEST: Final = ".manifest"

_TEXTS: Final = (
    "format", "name", "package", "entrypoint", "revision", "policy_digest", "schema_digest", "parameters_digest",
    "opa_version", "archive_sha256", "wasm_sha256",
)  # fmt: skip
_OBJECTS: Final = ("sources", "input_schema", "default_parameters")


def load_bundles(directory: Path) -> tuple[PolicyBundle, ...]:
    """Load every bundle of a directory, in the order of their names.

    Raises `BundleInvalid` if one is not intact, if there is none, or if a module or archive lies there without its manifest.
    """
    names = sorted(path.stem for path in directory.glob("*.json"))
    expected = {f"{name}{suffix}" for name in names for suffix in (".json", ".tar.gz", ".wasm")}
    stray = sorted({path.name for path in directory.glob("*")} - expected)
    if not names or stray:
        raise BundleInvalid(f"{directory} holds no bundle" if not names else f"{stray[0]} belongs to no bundle")
    bundles = tuple(load_bundle(directory, name) for name in names)
    if len({bundle.package for bundle in bundles}) != len(bundles):
        raise BundleInvalid("two bundles hold the same package")
    return bundles


def load_bundle(directory: Path, name: str) -> PolicyBundle:
    """Load one bundle and prove that its parts belong together. Raises `BundleInvalid`."""
    manifest = _read_manifest(directory, name)
    archive = _read_file(directory / f"{name}.tar.gz", sha256=manifest["archive_sha256"])
    wasm = _read_file(directory / f"{name}.wasm", sha256=manifest["wasm_sha256"])
    _check_archive(archive, manifest)
    return PolicyBundle(
        ref=BundleRef(
            name=name,
            revision=manifest["revision"],
            policy_digest=manifest["policy_digest"],
            schema_digest=manifest["schema_digest"],
        ),
        package=manifest["package"],
        entrypoint=manifest["entrypoint"],
        input_schema=manifest["input_schema"],
        parameters_schema=_checked_parameters_schema(manifest),
        default_parameters=manifest["default_parameters"],
        opa_version=manifest["opa_version"],
        archive=archive,
        wasm=wasm,
    )


def _read_manifest(directory: Path, name: str) -> dict[str, Any]:
    try:
        manifest = parse_json((directory / f"{name}.json").read_bytes())
    except (OSError, InputRejected) as error:
        raise BundleInvalid(f"the manifest of {name} cannot be read: {error}") from error
    if not isinstance(manifest, dict) or set(manifest) != {*_TEXTS, *_OBJECTS}:
        raise BundleInvalid(f"the manifest of {name} has not exactly the agreed fields")
    if not all(isinstance(manifest[field], str) for field in _TEXTS):
        raise BundleInvalid(f"a field of the manifest of {name} is not text")
    if not all(isinstance(manifest[field], dict) for field in _OBJECTS):
        raise BundleInvalid(f"a field of the manifest of {name} is not an object")
    if manifest["format"] != FORMAT or manifest["name"] != name:
        raise BundleInvalid(f"the manifest of {name} is of another format or bundle")
    return manifest


def _read_file(path: Path, *, sha256: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BundleInvalid(f"{path.name} cannot be read: {error}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise BundleInvalid(f"{path.name} is not the file that its manifest names")
    return data


def _check_archive(archive: bytes, manifest: Mapping[str, Any]) -> None:
    """Prove that the archive holds the named sources and the manifest for OPA, and nothing else."""
    files = read_archive(archive)
    try:
        own = parse_json(files.pop(ARCHIVE_MANIFEST, b""))
    except InputRejected as error:
        raise BundleInvalid("the archive has no readable manifest") from error
    if not isinstance(own, dict) or own.get("revision") != manifest["revision"]:
        raise BundleInvalid("the archive is of another revision")
    sources = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    if sources != manifest["sources"]:
        raise BundleInvalid("the archive does not hold exactly the named sources")
    if digest_of_sources(sources) != manifest["policy_digest"]:
        raise BundleInvalid("the sources do not have the named digest")


def read_archive(archive: bytes) -> dict[str, bytes]:
    """Return the files of a bundle archive by path. Raises `BundleInvalid` for links, repeats and broken archives."""
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                if content is None or member.name in files:
                    raise BundleInvalid(f"the archive holds {member.name} twice, or not as a plain file")
                files[member.name] = content.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise BundleInvalid("the archive cannot be read") from error
    return files


def _checked_parameters_schema(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Prove the digests of schema and defaults, and that the defaults are valid; return the schema of the parameters."""
    schema = manifest["input_schema"]
    if digest_of_value(schema) != manifest["schema_digest"]:
        raise BundleInvalid("the input schema does not have the named digest")
    if digest_of_value(manifest["default_parameters"]) != manifest["parameters_digest"]:
        raise BundleInvalid("the default parameters do not have the named digest")
    try:
        compile_schema(schema)
        parameters_schema: Mapping[str, Any] = schema["$defs"]["parameters"]
        check_parameters(compile_schema(parameters_schema), manifest["default_parameters"])
    except ParametersInvalid as error:
        raise BundleInvalid(f"the default parameters do not fit their schema: {error.data}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise BundleInvalid(f"the input schema cannot be used: {error}") from error
    return parameters_schema
