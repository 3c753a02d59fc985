package high_risk.operations_test

import data.high_risk.operations

parameters := {
	"requester_roles": ["engineer"],
	"environments": ["prod"],
	"types": ["TEMP_DB_READ_ACCESS"],
	"max_duration_seconds": 7200,
	"required_approvals": ["team_lead", "security_officer"],
}

request := {
	"action": "request",
	"now": 1763755200,
	"subject": {"id": "usr_engineer", "roles": ["engineer"], "kind": "person"},
	"resource": {
		"type": "TEMP_DB_READ_ACCESS",
		"environment": "prod",
		"target": "orders-prod",
		"duration_seconds": 3600,
	},
	"context": {"approvals": []},
	"parameters": parameters,
}

lead_vote := {"role": "team_lead", "person": "usr_lead"}

security_vote := {"role": "security_officer", "person": "usr_security"}

execution(approvals) := object.union(request, {"action": "execute", "context": {"approvals": approvals}})

with_resource(resource) := object.union(request, {"resource": resource})

with_subject(subject) := object.union(request, {"subject": subject})

with_required(roles, approvals) := object.union(execution(approvals), {"parameters": {"required_approvals": roles}})

codes(decision) := [reason.code | some reason in decision.reasons]

# Story 1.6, the five named cases.

test_valid_request_is_allowed if {
	decision := operations.decision with input as request
	decision == {
		"allow": true,
		"reasons": [],
		"required_approvals": ["team_lead", "security_officer"],
		"self_approvable": [],
	}
}

test_too_long_duration_is_denied_with_the_limit if {
	decision := operations.decision with input as with_resource({"duration_seconds": 7201})
	decision.allow == false
	decision.reasons == [{"code": "duration_too_long", "limit_seconds": 7200}]
}

test_invalid_role_is_denied if {
	decision := operations.decision with input as with_subject({"roles": ["ae", "auditor"]})
	decision.allow == false
	decision.reasons == [{"code": "role_missing", "roles": ["engineer"]}]
}

test_missing_approvals_deny_execution if {
	decision := operations.decision with input as execution([])
	decision.allow == false
	decision.reasons == [{"code": "approvals_missing", "roles": ["team_lead", "security_officer"]}]
}

test_environment_that_is_not_prod_is_denied if {
	decision := operations.decision with input as with_resource({"environment": "staging"})
	decision.allow == false
	decision.reasons == [{"code": "environment_not_allowed", "environments": ["prod"]}]
}

# Boundaries of the duration.

test_duration_one_second_below_the_limit_is_allowed if {
	operations.allow with input as with_resource({"duration_seconds": 7199})
}

test_duration_at_the_limit_is_allowed if {
	operations.allow with input as with_resource({"duration_seconds": 7200})
}

test_duration_of_one_second_is_allowed if {
	operations.allow with input as with_resource({"duration_seconds": 1})
}

test_duration_of_zero_is_denied if {
	decision := operations.decision with input as with_resource({"duration_seconds": 0})
	decision.allow == false
	codes(decision) == ["duration_not_positive"]
}

test_negative_duration_is_denied if {
	decision := operations.decision with input as with_resource({"duration_seconds": -1})
	decision.allow == false
	codes(decision) == ["duration_not_positive"]
}

test_limit_follows_the_parameters if {
	shorter := object.union(request, {"parameters": {"max_duration_seconds": 3599}})
	decision := operations.decision with input as shorter
	decision.allow == false
	decision.reasons == [{"code": "duration_too_long", "limit_seconds": 3599}]
}

test_duration_or_limit_that_is_no_number_is_denied if {
	every value in [null, false, "60", [], {}] {
		not operations.allow with input as with_resource({"duration_seconds": value})
		not operations.allow with input as object.union(request, {"parameters": {"max_duration_seconds": value}})
	}
}

# Who and what.

test_bot_is_denied if {
	decision := operations.decision with input as with_subject({"kind": "bot"})
	decision.allow == false
	codes(decision) == ["requester_not_person"]
}

test_one_of_several_roles_is_enough if {
	operations.allow with input as with_subject({"roles": ["auditor", "engineer"]})
}

test_unknown_type_is_denied if {
	decision := operations.decision with input as with_resource({"type": "ROOT_SHELL"})
	decision.allow == false
	decision.reasons == [{"code": "type_unknown", "types": ["TEMP_DB_READ_ACCESS"]}]
}

test_unknown_action_is_denied if {
	decision := operations.decision with input as object.union(request, {"action": "delete"})
	decision.allow == false
	codes(decision) == ["action_unknown"]
}

test_every_fault_is_named if {
	decision := operations.decision with input as object.union(request, {
		"subject": {"roles": [], "kind": "bot"},
		"resource": {"type": "X", "environment": "dev", "duration_seconds": 9000},
	})
	decision.allow == false
	{code | some code in codes(decision)} == {
		"requester_not_person",
		"role_missing",
		"environment_not_allowed",
		"type_unknown",
		"duration_too_long",
	}
}

# Approvals by different people.

test_both_approvals_by_different_people_allow_execution if {
	decision := operations.decision with input as execution([security_vote, lead_vote])
	decision.allow == true
	decision.reasons == []
}

test_one_approval_leaves_the_other_role_open if {
	decision := operations.decision with input as execution([lead_vote])
	decision.allow == false
	decision.reasons == [{"code": "approvals_missing", "roles": ["security_officer"]}]
}

test_one_person_does_not_fill_two_roles if {
	both := [{"role": "team_lead", "person": "usr_both"}, {"role": "security_officer", "person": "usr_both"}]
	decision := operations.decision with input as execution(both)
	decision.allow == false
	decision.reasons == [{"code": "approvals_missing", "roles": ["security_officer"]}]
}

test_person_with_two_roles_fills_the_one_that_is_open if {
	both := [{"role": "team_lead", "person": "usr_both"}, {"role": "security_officer", "person": "usr_both"}]
	operations.allow with input as execution(array.concat(both, [lead_vote]))
	operations.allow with input as execution(array.concat(both, [security_vote]))
}

test_requester_never_counts_as_approver if {
	own := {"role": "team_lead", "person": "usr_engineer"}
	decision := operations.decision with input as execution([own, security_vote])
	decision.allow == false
	decision.reasons == [{"code": "approvals_missing", "roles": ["team_lead"]}]
}

test_vote_for_another_role_does_not_help if {
	other := {"role": "manager", "person": "usr_manager"}
	decision := operations.decision with input as execution([other, lead_vote])
	decision.allow == false
	decision.reasons == [{"code": "approvals_missing", "roles": ["security_officer"]}]
}

test_three_roles_need_three_people if {
	roles := ["team_lead", "security_officer", "manager"]
	shared := [
		{"role": "security_officer", "person": "usr_two"},
		{"role": "manager", "person": "usr_two"},
		lead_vote,
	]
	not operations.allow with input as with_required(roles, shared)
	operations.allow with input as with_required(roles, array.concat(shared, [security_vote]))
}

test_execution_needs_at_least_one_required_role if {
	not operations.allow with input as with_required([], [lead_vote, security_vote])
}

test_execution_checks_the_request_again if {
	late := object.union(execution([lead_vote, security_vote]), {"resource": {"duration_seconds": 7201}})
	decision := operations.decision with input as late
	decision.allow == false
	codes(decision) == ["duration_too_long"]
}

# Missing fields: the decision is defined, a refusal, and says why.

decisive_fields := [
	"action",
	"subject",
	"subject/roles",
	"subject/kind",
	"resource",
	"resource/type",
	"resource/environment",
	"resource/duration_seconds",
	"parameters",
	"parameters/requester_roles",
	"parameters/environments",
	"parameters/types",
	"parameters/max_duration_seconds",
]

decisive_execution_fields := array.concat(decisive_fields, [
	"subject/id",
	"context",
	"context/approvals",
	"parameters/required_approvals",
])

test_request_without_a_decisive_field_is_denied if {
	every field in decisive_fields {
		decision := operations.decision with input as json.remove(request, [field])
		decision.allow == false
		count(decision.reasons) > 0
	}
}

test_execution_without_a_decisive_field_is_denied if {
	complete := execution([lead_vote, security_vote])
	operations.allow with input as complete
	every field in decisive_execution_fields {
		decision := operations.decision with input as json.remove(complete, [field])
		decision.allow == false
		count(decision.reasons) > 0
	}
}

test_approval_without_person_or_role_does_not_count if {
	not operations.allow with input as execution([{"role": "team_lead"}, security_vote])
	not operations.allow with input as execution([{"person": "usr_lead"}, security_vote])
}

test_requester_whose_id_is_no_text_gets_no_votes if {
	complete := execution([lead_vote, security_vote])
	not operations.allow with input as object.union(complete, {"subject": {"id": null}})
}

test_empty_input_is_denied if {
	decision := operations.decision with input as {}
	decision.allow == false
	decision.required_approvals == []
}
