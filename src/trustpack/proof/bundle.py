"""What an evidence bundle is, and how it is checked with nothing but its bytes.

A bundle is one JSON object in RFC 8785 bytes: a manifest, and beside it the sections that the manifest counts and digests. It
says whether it agrees with itself; that nobody has written it anew, receipts and all, follows from a digest that was kept
elsewhere. Source: stories 1.8 and 2.8; research/evidence section 6, "Bundle".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from trustpack.kernel.json_types import JsonObject, JsonValue
from trustpack.kernel.money import format_amount
from trustpack.proof.canonical import canonical_bytes, canonical_object, digest_of, digest_of_value
from trustpack.proof.commitments import Disclosure, opens
from trustpack.proof.receipt_chain import Link, check_links

BUNDLE_FORMAT: Final = "trustpack/evidence/v1"
KINDS: Final = frozenset({"high_risk_operation", "deal"})
MANIFEST: Final = frozenset({"format", "kind", "tenant", "subject", "version", "subjects", "sections"})
_DIGEST: Final = "_digest"
_ACTION_OF: Final = {"approve": "approved", "reject": "rejected"}


@dataclass(frozen=True, slots=True)
class BundleFault:
    """One thing wrong with a bundle: a stable code, and the section, subject or receipt where it shows."""

    code: str
    where: str


def write_bundle(about: JsonObject, sections: Mapping[str, JsonValue], *, figures: Mapping[str, Sequence[str]]) -> bytes:
    """Return the canonical bytes of a bundle: its sections, and the manifest that says `about` what it is and sums them up."""
    written = {name: canonical_bytes(section) for name, section in sections.items()}
    summaries = {name: _summary(section, written[name], figures=figures.get(name, ())) for name, section in sections.items()}
    return canonical_object({"manifest": canonical_bytes({**about, "sections": summaries}), **written})


def summary_of(section: JsonValue, *, figures: Sequence[str] = ()) -> JsonObject:
    """Return what the manifest says about a section: its digest, its times and, of a list, the number and ids of its items.

    `figures` are the fields of the items that the manifest repeats, so that a reader need not look for them.
    """
    return _summary(section, canonical_bytes(section), figures=figures)


def _summary(section: JsonValue, written: bytes, *, figures: Sequence[str]) -> JsonObject:
    summary: dict[str, JsonValue] = {"digest": digest_of(written)}
    if isinstance(section, Mapping):
        summary["times"] = _times(section)
    elif isinstance(section, Sequence) and not isinstance(section, str):
        items = [item for item in section if isinstance(item, Mapping)]
        summary["count"] = len(section)
        summary["ids"] = [item["id"] for item in items if "id" in item]
        summary["times"] = [_times(item) for item in items]
        if figures and items:
            summary["figures"] = [{name: item.get(name) for name in figures} for item in items]
    return summary


def check_bundle(content: bytes) -> tuple[BundleFault, ...]:
    """Return every fault of a bundle; an empty answer means that it agrees with itself in every byte.

    Codes: `unreadable`, `not_canonical`, `misshapen`, `unknown_form`, `wrong_sections`, `wrong_summary` (digest, number, ids,
    times or figures of a section), `wrong_digest` (a document beside its digest), `unrecorded_digest` (one that no receipt
    names), `wrong_approval` (not the vote of its receipt), `missing_decision`, `missing_quote`, `wrong_revision` and
    `wrong_contract` (not those that receipts tell of), `wrong_amount` (not that of its receipt), `wrong_subject`,
    `wrong_tenant`, `wrong_receipt`, `wrong_head`, `stray_receipt`, `wrong_disclosure`, and those of `check_chain` with
    `chain_` in front.
    Guarantee: pure; hostile bytes are a fault, never an exception.
    """
    try:
        bundle: Any = json.loads(content)
        # Part by part: what was written to find the whole as it must be serves the digests of the sections too.
        written = {name: canonical_bytes(part) for name, part in bundle.items()}
        is_canonical = canonical_object(written) == content
    except (ValueError, RecursionError):
        return (BundleFault("unreadable", "bundle"),)
    except AttributeError:
        return (BundleFault("misshapen", "bundle"),)
    if not is_canonical:
        return (BundleFault("not_canonical", "bundle"),)
    try:
        manifest = bundle["manifest"]
        sections = {name: section for name, section in bundle.items() if name != "manifest"}
        return (
            *_faults_of_manifest(manifest, sections, written),
            *_faults_of_receipts(manifest, sections["receipts"]),
            *_faults_of_references(sections),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        # Whatever is absent or of another type than it must be: nothing that follows from it could be said.
        return (BundleFault("misshapen", "bundle"),)


def _faults_of_manifest(
    manifest: Mapping[str, Any], sections: Mapping[str, Any], written: Mapping[str, bytes]
) -> Iterator[BundleFault]:
    if manifest["format"] != BUNDLE_FORMAT or manifest["kind"] not in KINDS or manifest.keys() != MANIFEST:
        yield BundleFault("unknown_form", "manifest")
    if manifest["sections"].keys() != sections.keys():
        yield BundleFault("wrong_sections", "manifest")
    for name in sorted(manifest["sections"].keys() & sections.keys()):
        told, section = manifest["sections"][name], sections[name]
        figures = sorted({field for item in told.get("figures", ()) for field in item})
        # Compared as bytes: to Python `true` equals 1.
        if canonical_bytes(told) != canonical_bytes(_summary(section, written[name], figures=figures)):
            yield BundleFault("wrong_summary", name)


def _faults_of_references(sections: Mapping[str, Any]) -> Iterator[BundleFault]:
    """What the sections say of digests, votes and decisions is what the receipts say of them."""
    bodies = [receipt["body"] for receipt in sections["receipts"]]
    recorded: dict[str, set[str]] = {}
    for body in bodies:
        for name in (name for name in body["payload"] if name.endswith(_DIGEST)):
            recorded.setdefault(name, set()).add(body["payload"][name])
    for where, section in sections.items():
        for item in section if isinstance(section, list) else [section]:
            if isinstance(item, dict):
                yield from _faults_of_digests(item, recorded, where=where)
    voting = {body["payload"]["approval_id"]: body for body in bodies if "approval_id" in body["payload"]}
    if sorted(vote["id"] for vote in sections["approvals"]) != sorted(voting):
        yield BundleFault("wrong_approval", "approvals")
    for vote in sections["approvals"]:
        if vote["id"] in voting and not _is_vote_of(vote, voting[vote["id"]]):
            yield BundleFault("wrong_approval", vote["id"])
    decisions = {decision["id"] for decision in sections["decisions"]}
    yield from _faults_of_terms(sections, bodies)
    for decision_id in sorted({named for body in bodies for named in _decisions_in(body["payload"])} - decisions):
        yield BundleFault("missing_decision", decision_id)


def _faults_of_terms(sections: Mapping[str, Any], bodies: Sequence[Mapping[str, Any]]) -> Iterator[BundleFault]:
    """The quotes, revisions and contracts that receipts tell of are there, all of them and no others, with their amounts."""
    written = [body for body in bodies if "list_minor" in body["payload"]]
    amounts = {body["payload"]["terms_digest"]: _amounts_told(body["payload"]) for body in written}
    for quote_id in sorted({body["subject"]["id"] for body in written} - {quote["id"] for quote in sections.get("quotes", ())}):
        yield BundleFault("missing_quote", quote_id)
    if sorted(revision["terms_digest"] for revision in sections.get("revisions", ())) != sorted(amounts):
        yield BundleFault("wrong_revision", "revisions")
    activated = [body["payload"] for body in bodies if body["action"] == "activated"]
    made = [payload["contract_id"] for payload in activated if "contract_id" in payload]
    if sorted(contract["id"] for contract in sections.get("contracts", ())) != sorted(made):
        yield BundleFault("wrong_contract", "contracts")
    for where in ("quotes", "revisions", "contracts"):
        for item in sections.get(where, ()):
            digest = item["terms_digest"]
            shown = (item.get("currency"), item.get("list_amount"), item.get("net_amount"))
            if digest in amounts and shown != amounts[digest]:
                yield BundleFault("wrong_amount", where)


def _amounts_told(payload: Mapping[str, Any]) -> tuple[str, str, str]:
    currency = payload["currency"]
    listed, net = (format_amount(payload[name], currency=currency) for name in ("list_minor", "net_minor"))
    return currency, listed, net


def _faults_of_digests(item: Mapping[str, Any], recorded: Mapping[str, set[str]], *, where: str) -> Iterator[BundleFault]:
    """A digest is that of the document beside it, such as `terms_digest` of `terms`, and one that receipts name, if any do."""
    for name in (name for name in item if name.endswith(_DIGEST)):
        document = name.removesuffix(_DIGEST)
        if document in item and digest_of_value(item[document]) != item[name]:
            yield BundleFault("wrong_digest", where)
        if name in recorded and item[name] not in recorded[name]:
            yield BundleFault("unrecorded_digest", where)


def _is_vote_of(vote: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    payload = body["payload"]
    digests = [name for name in vote if name.endswith(_DIGEST)]
    return (
        vote["approver"]["id"] == body["actor"]["id"]
        and vote["created_at"] == body["occurred_at"]
        and _ACTION_OF[vote["verdict"]] == body["action"]
        and vote["role"] == payload.get("role")
        and all(vote[name] == payload.get(name) for name in digests)
    )


def _decisions_in(payload: Any) -> Iterator[str]:
    for name, value in payload.items():
        if name == "decision_id":
            yield value
        elif isinstance(value, dict):
            yield from _decisions_in(value)


def _faults_of_receipts(manifest: Mapping[str, Any], receipts: Sequence[Mapping[str, Any]]) -> Iterator[BundleFault]:
    subjects = {subject["id"]: subject for subject in manifest["subjects"]}
    asked = subjects.get(manifest["subject"])
    if len(subjects) != len(manifest["subjects"]) or asked is None or asked["version"] != manifest["version"]:
        yield BundleFault("wrong_subject", "manifest")
    chains: dict[str, list[Link]] = {subject_id: [] for subject_id in subjects}
    for receipt in receipts:
        link = Link(receipt["body"], digest_of_value(receipt["body"]), is_canonical=True)
        yield from _faults_of_receipt(receipt, link.digest, tenant_id=manifest["tenant"])
        subject_id = receipt["body"]["subject"]["id"]
        if subject_id in chains:
            chains[subject_id].append(link)
        else:
            yield BundleFault("stray_receipt", receipt["id"])
    for subject_id, chain in chains.items():
        yield from _faults_of_chain(subjects[subject_id], chain)


def _faults_of_chain(subject: Mapping[str, Any], chain: Sequence[Link]) -> Iterator[BundleFault]:
    for fault in check_links(chain, subject_id=subject["id"], expected_count=subject["version"]):
        yield BundleFault(f"chain_{fault.code}", f"{subject['id']} {fault.seq}")
    if not chain or chain[-1].digest != subject["head"]:
        yield BundleFault("wrong_head", subject["id"])
    if any(link.receipt is None or link.receipt["subject"]["kind"] != subject["kind"] for link in chain):
        yield BundleFault("wrong_subject", subject["id"])


def _faults_of_receipt(receipt: Mapping[str, Any], digest: str, *, tenant_id: str) -> Iterator[BundleFault]:
    body = receipt["body"]
    told = (receipt["id"], receipt["seq"], receipt["digest"])
    if told != (body["id"], body["seq"], digest):
        yield BundleFault("wrong_receipt", receipt["id"])
    if body["tenant"] != tenant_id:
        yield BundleFault("wrong_tenant", receipt["id"])
    paths = [entry["path"] for entry in receipt["disclosures"]]
    opened = [_opens(entry, body["payload"]) for entry in receipt["disclosures"]]
    if len(set(paths)) != len(paths) or not all(opened):
        yield BundleFault("wrong_disclosure", receipt["id"])


def _opens(entry: Mapping[str, Any], payload: Mapping[str, Any]) -> bool:
    committed = payload.get(entry["path"])
    if not isinstance(committed, dict) or committed.keys() != {"commitment"}:
        return False
    disclosure = Disclosure(path=entry["path"], value=entry["value"], salt=bytes.fromhex(entry["salt"]))
    return opens(disclosure, committed["commitment"])


def _times(item: JsonObject) -> JsonObject:
    """Return the moments that an item names, by their names; those of a receipt stand in its body."""
    body = item.get("body")
    named = body if isinstance(body, Mapping) else item
    return {name: value for name, value in named.items() if name.endswith("_at") and value is not None}
