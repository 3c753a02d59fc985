import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.policy.builders import ALLOW, DIST, PARAMETERS, high_risk_bundle, whole_input
from trustpack.capabilities.policy import load_bundles
from trustpack.capabilities.policy.model import InputRejected, MalformedDecision, ParametersInvalid, Reason
from trustpack.capabilities.policy.rules.answers import read_answer
from trustpack.capabilities.policy.rules.documents import (
    MAX_JSON_BYTES,
    MAX_JSON_DEPTH,
    check_input,
    check_parameters,
    compile_schema,
    digest_of_sources,
    merge_parameters,
    parse_json,
    require_json_limits,
)
from trustpack.capabilities.policy.rules.reasons import KNOWN_REASON_CODES, reason_text
from trustpack.kernel.actor import Role
from trustpack.proof.canonical import canonical_bytes

INPUT_SCHEMA = compile_schema(high_risk_bundle().input_schema)
FIFTH, OVER_FIFTH = {"numerator": 20, "denominator": 100}, {"numerator": 20_004, "denominator": 100_000}
THIRD, JUST_OVER_THIRD = {"numerator": 1, "denominator": 3}, {"numerator": 333_333_334, "denominator": 1_000_000_000}
PARAMETERS_SCHEMA = compile_schema(high_risk_bundle().parameters_schema)


def nested(depth: int) -> object:
    value: object = []
    for _ in range(depth - 1):
        value = [value]
    return value


# --- JSON limits ---


def test_the_deepest_allowed_nesting_passes():
    require_json_limits(nested(MAX_JSON_DEPTH))


@pytest.mark.policy_case(9)
@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (nested(MAX_JSON_DEPTH + 1), "depth"),
        (0.5, "type"),
        (float("nan"), "type"),
        (2**53, "integer_size"),
        (-(2**53), "integer_size"),
        ("\ud800", "surrogate"),
        ({"\udfff": 1}, "surrogate"),
        ({1: 1}, "key"),
        ({"a": {1, 2}}, "type"),
        (b"bytes", "type"),
    ],
)
def test_a_value_that_engines_read_differently_is_rejected(value, rule):
    with pytest.raises(InputRejected) as caught:
        require_json_limits({"value": value} if rule != "depth" else value)

    assert caught.value.data == {"rule": rule}


@pytest.mark.parametrize("value", [2**53 - 1, -(2**53) + 1, 0, True, None, "ü😀", {"ключ": [1]}])
def test_a_plain_value_passes(value):
    require_json_limits(value)


@pytest.mark.policy_case(9)
@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (b'{"a":1,"a":2}', "duplicate_key"),
        (b'{"a":1e100000000}', "number"),
        (b'{"a":1.0}', "number"),
        (b'{"a":NaN}', "number"),
        (b'{"a":-Infinity}', "number"),
        (b'"\\ud800"', "surrogate"),
        (b"[" * 40 + b"]" * 40, "depth"),
        (b"[" * 30_000 + b"]" * 30_000, "json"),
        (b'"' + b"a" * MAX_JSON_BYTES + b'"', "size"),
        (b"{} trailing", "json"),
        (b"", "json"),
        (b"\xff", "json"),
        (b'{"a":' + b"9" * 5000 + b"}", "json"),
    ],
)
def test_json_text_beyond_the_limits_is_rejected(text, rule):
    with pytest.raises(InputRejected) as caught:
        parse_json(text)

    assert caught.value.data["rule"] == rule


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_whatever_passes_the_limits_has_canonical_bytes(value):
    try:
        require_json_limits(value)
    except InputRejected:
        return

    assert parse_json(canonical_bytes(value)) == value


# --- Schema ---


@pytest.mark.parametrize("duration", [0, -1, 7199, 7200, 7201, 2**53 - 1])
def test_the_schema_leaves_the_duration_to_the_policy(duration):
    check_input(INPUT_SCHEMA, whole_input(resource={"duration_seconds": duration}))


def _changed(**members):
    return {**whole_input(), **members}


@pytest.mark.policy_case(9)
@pytest.mark.parametrize(
    ("value", "path", "rule"),
    [
        (_changed(justification="because"), "", "additionalProperties"),
        (whole_input(resource={"note": "free text"}), "/resource", "additionalProperties"),
        (whole_input(subject={"email": "a@b"}), "/subject", "additionalProperties"),
        (_changed(context={"approvals": [{"role": "team_lead"}]}), "/context/approvals/0", "required"),
        (_changed(parameters={**PARAMETERS, "extra": 1}), "/parameters", "additionalProperties"),
        (whole_input(resource={"duration_seconds": "60"}), "/resource/duration_seconds", "type"),
        (whole_input(resource={"duration_seconds": None}), "/resource/duration_seconds", "type"),
        (whole_input(resource={"environment": ""}), "/resource/environment", "pattern"),
        (whole_input(resource={"target": "two words"}), "/resource/target", "pattern"),
        (whole_input(subject={"kind": "system"}), "/subject/kind", "enum"),
        (whole_input(subject={"id": "engineer"}), "/subject/id", "pattern"),
        (_changed(now=True), "/now", "type"),
        (_changed(action="delete"), "/action", "enum"),
        ({key: value for key, value in whole_input().items() if key != "now"}, "", "required"),
    ],
)
def test_an_input_of_another_shape_is_rejected_naming_place_and_rule_only(value, path, rule):
    with pytest.raises(InputRejected) as caught:
        check_input(INPUT_SCHEMA, value)

    assert caught.value.data == {"path": path, "rule": rule}


def test_a_schema_that_points_elsewhere_is_refused_without_fetching():
    with pytest.raises(ValueError):
        compile_schema({"$ref": "http://127.0.0.1:9/schema.json"})


# --- Parameters ---


def test_an_override_replaces_what_it_names_and_nothing_else():
    merged = merge_parameters(PARAMETERS, {"max_duration_seconds": 600, "required_approvals": ["manager", "finance"]})

    assert merged == {**PARAMETERS, "max_duration_seconds": 600, "required_approvals": ["manager", "finance"]}


def test_nested_objects_are_merged_member_by_member_and_the_defaults_stay_untouched():
    defaults = {"limits": {"a": 1, "b": 2}, "list": [1, 2]}

    merged = merge_parameters(defaults, {"limits": {"b": 3}, "list": [9]})

    assert merged == {"limits": {"a": 1, "b": 3}, "list": [9]}
    assert defaults == {"limits": {"a": 1, "b": 2}, "list": [1, 2]}


def test_the_default_parameters_are_valid():
    check_parameters(PARAMETERS_SCHEMA, high_risk_bundle().default_parameters)


@pytest.mark.parametrize(
    ("override", "field"),
    [
        ({"max_duration_seconds": 7201}, "/max_duration_seconds"),
        ({"max_duration_seconds": 0}, "/max_duration_seconds"),
        ({"max_duration_seconds": None}, "/max_duration_seconds"),
        ({"required_approvals": []}, "/required_approvals"),
        ({"required_approvals": ["team_lead"]}, "/required_approvals"),
        ({"required_approvals": ["team_lead", "team_lead"]}, "/required_approvals"),
        ({"required_approvals": ["team_lead", "janitor"]}, "/required_approvals/1"),
        ({"requester_roles": []}, "/requester_roles"),
        ({"unknown": 1}, ""),
        ({"max_duration_seconds": 60.5}, ""),
    ],
)
def test_parameters_beyond_their_bounds_are_refused_naming_the_field(override, field):
    with pytest.raises(ParametersInvalid) as caught:
        check_parameters(PARAMETERS_SCHEMA, merge_parameters(PARAMETERS, override))

    assert [error["field"] for error in caught.value.data["errors"]] == [field]


@pytest.mark.parametrize(
    ("package", "override", "field"),
    [
        ("revops.discount_approvals", lambda row: {"matrix": [row | {"segments": ["Public"]}]}, "/matrix/0/segments/0"),
        ("revops.lead_routing", lambda row: {"rules": [row | {"segments": ["Public"]}]}, "/rules/0/segments/0"),
        ("revops.lead_routing", lambda row: {"rules": [row | {"regions": ["EMEA"]}]}, "/rules/0/regions/0"),
    ],
)
def test_a_row_for_a_segment_or_region_that_no_lead_can_have_is_refused(package, override, field):
    [bundle] = [bundle for bundle in load_bundles(DIST) if bundle.package == package]
    defaults = bundle.default_parameters
    row = defaults["matrix"][0] if "matrix" in defaults else {"name": "one", "team": "one"}

    with pytest.raises(ParametersInvalid) as caught:
        check_parameters(compile_schema(bundle.parameters_schema), merge_parameters(defaults, override(row)))

    assert [error["field"] for error in caught.value.data["errors"]] == [field]


# --- The shape of an answer ---


def test_a_well_formed_answer_is_read():
    answer = read_answer({**ALLOW, "allow": False, "reasons": [{"code": "duration_too_long", "limit_seconds": 7200}]})

    assert not answer.allowed
    assert answer.reasons == (Reason("duration_too_long", {"limit_seconds": 7200}),)
    assert answer.required_approvals == (Role.TEAM_LEAD,)


@pytest.mark.parametrize(
    "raw",
    [
        True,
        "true",
        None,
        1,
        [],
        {},
        {"allow": True},
        {**ALLOW, "allow": "yes"},
        {**ALLOW, "allow": 1},
        {**ALLOW, "allow": None},
        {**ALLOW, "route": "elsewhere"},
        {**ALLOW, "required_approvals": ["janitor"]},
        {**ALLOW, "required_approvals": ["team_lead", "team_lead"]},
        {**ALLOW, "required_approvals": "team_lead"},
        {**ALLOW, "required_approvals": None},
        {**ALLOW, "self_approvable": [1]},
        {**ALLOW, "reasons": {}},
        {**ALLOW, "reasons": ["code"]},
        {**ALLOW, "reasons": [{}]},
        {**ALLOW, "reasons": [{"code": ""}]},
        {**ALLOW, "reasons": [{"code": "Not A Code"}]},
        {**ALLOW, "reasons": [{"code": "fine", "text": "a sentence of the engine's own"}]},
    ],
)
def test_an_answer_of_another_shape_is_malformed(raw):
    with pytest.raises(MalformedDecision):
        read_answer(raw)


# --- Words ---


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (Reason("duration_too_long", {"limit_seconds": 7200}), "The duration may be at most 2 hours."),
        (Reason("duration_too_long", {"limit_seconds": 3600}), "The duration may be at most 1 hour."),
        (Reason("duration_too_long", {"limit_seconds": 5400}), "The duration may be at most 90 minutes."),
        (Reason("duration_too_long", {"limit_seconds": 61}), "The duration may be at most 61 seconds."),
        (Reason("duration_too_long", {"limit_seconds": None}), "The duration may be at most the limit."),
        (
            Reason("approvals_missing", {"roles": ["team_lead", "security_officer"]}),
            "Approvals of different people are missing for: team lead and security officer.",
        ),
        (Reason("role_missing", {"roles": ["engineer", "admin"]}), "The requester needs the role engineer or admin."),
        (
            Reason("environment_not_allowed", {"environments": ["prod"]}),
            "This is possible in these environments only: prod.",
        ),
        (
            Reason("input_rejected", {"path": "/resource", "rule": "required"}),
            "The question to the policy was not well formed at /resource, so it was refused.",
        ),
        (
            Reason("discount_above_limit", {"measure": "largest_line", "discount": OVER_FIFTH, "limit": FIFTH}),
            "The largest line discount of 20.004 % is above 20 %.",
        ),
        (
            Reason("discount_above_limit", {"measure": "blended", "discount": JUST_OVER_THIRD, "limit": THIRD}),
            "The blended discount of 33.333334 % is above 33.333333 %.",
        ),
        (Reason("something_new", {}), "Policy gave the reason something_new."),
    ],
)
def test_a_reason_reads_as_a_sentence(reason, text):
    assert reason_text(reason) == text


@pytest.mark.parametrize("code", sorted(KNOWN_REASON_CODES))
@pytest.mark.parametrize("value", [None, [], "x", 5, {"a": 1}])
def test_a_sentence_survives_any_data(code, value):
    data = dict.fromkeys(("roles", "environments", "types", "limit_seconds", "path"), value)

    assert reason_text(Reason(code, data)).endswith(".")


# --- Digest of sources ---


def test_the_digest_of_sources_does_not_depend_on_their_order_but_on_each_path_and_content():
    one, two = "11" * 32, "22" * 32

    digest = digest_of_sources({"a.rego": one, "b.rego": two})

    assert digest == digest_of_sources({"b.rego": two, "a.rego": one})
    others = [{"a.rego": two, "b.rego": one}, {"a.rego": one}, {"a.regob.rego": one}, {"a.rego": one, "c.rego": two}]
    assert digest not in {digest_of_sources(other) for other in others}
