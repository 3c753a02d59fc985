import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest

from tests.unit.policy.builders import DIST
from tools.build_policies import gzip_stored, tar
from trustpack.capabilities.policy import load_bundles
from trustpack.capabilities.policy.adapters.bundle_files import load_bundle, read_archive
from trustpack.capabilities.policy.model import BundleInvalid, PolicyOutcome
from trustpack.capabilities.policy.rules.answers import failure_code
from trustpack.capabilities.policy.rules.reasons import KNOWN_REASON_CODES


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DIST, tmp_path / "dist"))


def edit_manifest(dist: Path, **changes: object) -> None:
    path = dist / "high_risk.json"
    manifest = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in manifest.items() if value is not None}))


def replace_archive(dist: Path, files: dict[str, bytes]) -> None:
    archive = gzip_stored(tar(files))
    (dist / "high_risk.tar.gz").write_bytes(archive)
    edit_manifest(dist, archive_sha256=hashlib.sha256(archive).hexdigest())


def test_the_committed_bundles_are_intact(dist):
    bundles = load_bundles(dist)

    assert [(bundle.ref.name, bundle.package) for bundle in bundles] == [
        ("high_risk", "high_risk.operations"),
        ("revops_discount_approvals", "revops.discount_approvals"),
        ("revops_lead_routing", "revops.lead_routing"),
    ]
    for bundle in bundles:
        assert bundle.entrypoint == f"{bundle.package.replace('.', '/')}/decision"
        assert bundle.ref.revision.endswith(bundle.ref.policy_digest.removeprefix("sha256:")[:16])


@pytest.mark.policy_case(8)
@pytest.mark.parametrize("name", ["high_risk.wasm", "high_risk.tar.gz"])
def test_a_file_with_one_changed_byte_is_refused(dist, name):
    data = bytearray((dist / name).read_bytes())
    data[len(data) // 2] ^= 1
    (dist / name).write_bytes(data)

    with pytest.raises(BundleInvalid, match=f"{name} is not the file"):
        load_bundle(dist, "high_risk")


@pytest.mark.policy_case(8)
@pytest.mark.parametrize("name", ["high_risk.wasm", "high_risk.tar.gz"])
def test_a_missing_file_is_refused(dist, name):
    (dist / name).unlink()

    with pytest.raises(BundleInvalid, match="cannot be read"):
        load_bundle(dist, "high_risk")


@pytest.mark.parametrize(
    "changes",
    [
        {"wasm_sha256": "0" * 64},
        {"archive_sha256": "0" * 64},
        {"policy_digest": "sha256:" + "0" * 64},
        {"schema_digest": "sha256:" + "0" * 64},
        {"parameters_digest": "sha256:" + "0" * 64},
        {"revision": "9.9.9+0000000000000000"},
        {"sources": {"high_risk/operations.rego": "0" * 64}},
        {"sources": {}},
        {"input_schema": {}},
        {"default_parameters": {}},
        {"name": "other"},
        {"format": "trustpack-policy-bundle/v2"},
        {"package": 7},
        {"entrypoint": None},
        {"extra": "field"},
    ],
)
def test_a_manifest_that_does_not_fit_its_parts_is_refused(dist, changes):
    edit_manifest(dist, **changes)

    with pytest.raises(BundleInvalid):
        load_bundle(dist, "high_risk")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format":1,"format":2}'])
def test_an_unreadable_manifest_is_refused(dist, text):
    (dist / "high_risk.json").write_text(text)

    with pytest.raises(BundleInvalid):
        load_bundle(dist, "high_risk")


@pytest.mark.policy_case(8)
def test_an_archive_with_an_extra_file_is_refused_even_with_its_sha_in_the_manifest(dist):
    files = read_archive((dist / "high_risk.tar.gz").read_bytes())
    replace_archive(dist, files | {"high_risk/extra.rego": b"package high_risk.operations\n\nallow := true\n"})

    with pytest.raises(BundleInvalid, match="exactly the named sources"):
        load_bundle(dist, "high_risk")


def test_an_archive_with_changed_rules_is_refused_even_with_its_sha_in_the_manifest(dist):
    files = read_archive((dist / "high_risk.tar.gz").read_bytes())
    files["high_risk/operations.rego"] = files["high_risk/operations.rego"].replace(b"allow := false", b"allow := true")
    replace_archive(dist, files)

    with pytest.raises(BundleInvalid, match="exactly the named sources"):
        load_bundle(dist, "high_risk")


@pytest.mark.policy_case(8)
def test_changed_rules_with_new_hashes_are_refused_by_the_digest_of_the_sources(dist):
    files = read_archive((dist / "high_risk.tar.gz").read_bytes())
    files["high_risk/operations.rego"] += b"# changed\n"
    replace_archive(dist, files)
    edit_manifest(dist, sources={"high_risk/operations.rego": hashlib.sha256(files["high_risk/operations.rego"]).hexdigest()})

    with pytest.raises(BundleInvalid, match="do not have the named digest"):
        load_bundle(dist, "high_risk")


@pytest.mark.parametrize("archive", [b"", b"no gzip", gzip_stored(b"no tar" * 200)])
def test_a_broken_archive_is_refused(archive):
    with pytest.raises(BundleInvalid):
        read_archive(archive)


@pytest.mark.policy_case(8)
@pytest.mark.parametrize("name", ["stray.wasm", "notes.txt", "high_risk.wasm.bak"])
def test_a_stray_file_beside_the_bundles_is_refused(dist, name):
    (dist / name).write_bytes(b"")

    with pytest.raises(BundleInvalid, match="belongs to no bundle"):
        load_bundles(dist)


def test_a_directory_without_bundles_is_refused(tmp_path):
    with pytest.raises(BundleInvalid, match="holds no bundle"):
        load_bundles(tmp_path)


def test_every_reason_of_the_policies_and_every_failure_has_a_sentence_and_no_sentence_is_left_over():
    texts = [path.read_text() for path in DIST.parent.rglob("*.rego") if not path.name.endswith("_test.rego")]
    annotated = {code for text in texts for code in re.findall(r"^#   reason: (\w+)$", text, re.MULTILINE)}
    given = {code for text in texts for code in re.findall(r'^reasons contains \{\s*"code": "(\w+)"', text, re.MULTILINE)}
    failures = {failure_code(outcome) for outcome in PolicyOutcome if outcome.value.startswith("policy.")}

    assert annotated == given
    assert annotated | failures == KNOWN_REASON_CODES
