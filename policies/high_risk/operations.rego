# METADATA
# title: High-risk operations
# description: |
#   Who may ask for a high-risk operation, and when an approved one may be carried out. Every rule that allows is positive;
#   the reasons only explain a refusal, and removing any of them cannot turn it into an allow.
# custom:
#   story: "1.6"
package high_risk.operations

# METADATA
# title: Decision
# description: The one answer of this package; it is defined for every input, malformed ones included.
# entrypoint: true
# custom:
#   story: "1.6"
decision := {
	"allow": allow,
	"reasons": sort(reasons),
	"required_approvals": required_approvals,
	"self_approvable": [],
}

default allow := false

# METADATA
# title: A well-formed request of an entitled person may be made
# custom:
#   story: "1.6"
allow if {
	input.action == "request"
	request_is_permitted
}

# METADATA
# title: It may be carried out once different people have filled every required role
# custom:
#   story: "1.7"
allow if {
	input.action == "execute"
	request_is_permitted
	approvals_are_complete
}

request_is_permitted if {
	requester_is_person
	requester_has_role
	environment_is_allowed
	type_is_known
	duration_is_positive
	duration_is_within_limit
}

requester_is_person if input.subject.kind == "person"

requester_has_role if {
	some role in input.subject.roles
	role in input.parameters.requester_roles
}

environment_is_allowed if input.resource.environment in input.parameters.environments

type_is_known if input.resource.type in input.parameters.types

# Rego orders values of different types too: a text is larger than every number, null is smaller.
duration_is_positive if {
	is_number(input.resource.duration_seconds)
	input.resource.duration_seconds > 0
}

duration_is_within_limit if {
	is_number(input.resource.duration_seconds)
	is_number(input.parameters.max_duration_seconds)
	input.resource.duration_seconds <= input.parameters.max_duration_seconds
}

default required_approvals := []

required_approvals := input.parameters.required_approvals if is_array(input.parameters.required_approvals)

approvals_are_complete if {
	count(required_approvals) > 0
	roles_filled(required_approvals) == count(required_approvals)
}

# METADATA
# title: People whose vote counts for a role
# description: The requester is never among them.
# custom:
#   story: "1.6"
voters(role) := {approval.person |
	is_string(input.subject.id)
	some approval in input.context.approvals
	approval.role == role
	approval.person != input.subject.id
}

# METADATA
# title: How many of the roles different people fill at most
# description: |
#   The size of a maximum matching between roles and people: the minimum, over every selection of the roles, of the people
#   who voted for a selected role plus the roles left out (König-Ore). It needs no recursion, which Rego has not, and does not
#   depend on the order of the votes. Selections are bit masks; the parameter schema keeps the number of roles small.
# custom:
#   story: "1.6"
roles_filled(roles) := min({bound |
	some mask in numbers.range(0, bits.lsh(1, count(roles)) - 1)
	selected := {role | some i, role in roles; bits.and(mask, bits.lsh(1, i)) != 0}
	people := {person | some role in selected; some person in voters(role)}
	bound := (count(people) + count(roles)) - count(selected)
})

missing_roles := [role |
	some i, role in required_approvals
	roles_filled(array.slice(required_approvals, 0, i + 1)) == roles_filled(array.slice(required_approvals, 0, i))
]

default limit_seconds := null

limit_seconds := input.parameters.max_duration_seconds

default requester_roles := []

requester_roles := input.parameters.requester_roles

default environments := []

environments := input.parameters.environments

default types := []

types := input.parameters.types

# METADATA
# title: Only a request or an execution is decided here
# custom:
#   reason: action_unknown
#   story: "1.7"
reasons contains {"code": "action_unknown"} if not action_is_known

action_is_known if input.action in {"request", "execute"}

# METADATA
# title: Bots and the system itself make no high-risk requests
# custom:
#   reason: requester_not_person
#   story: "1.6"
reasons contains {"code": "requester_not_person"} if not requester_is_person

# METADATA
# title: The requester holds none of the roles that may ask
# custom:
#   reason: role_missing
#   story: "1.6"
reasons contains {"code": "role_missing", "roles": requester_roles} if not requester_has_role

# METADATA
# title: The operation is governed in named environments only
# custom:
#   reason: environment_not_allowed
#   story: "1.6"
reasons contains {"code": "environment_not_allowed", "environments": environments} if not environment_is_allowed

# METADATA
# title: The type of operation is not a known one
# custom:
#   reason: type_unknown
#   story: "1.6"
reasons contains {"code": "type_unknown", "types": types} if not type_is_known

# METADATA
# title: Access must last for some time
# custom:
#   reason: duration_not_positive
#   story: "1.6"
reasons contains {"code": "duration_not_positive"} if not duration_is_positive

# METADATA
# title: Access must end in time
# custom:
#   reason: duration_too_long
#   story: "1.6"
reasons contains {"code": "duration_too_long", "limit_seconds": limit_seconds} if not duration_is_within_limit

# METADATA
# title: Roles that nobody has filled yet, each by a different person
# custom:
#   reason: approvals_missing
#   story: "1.6"
reasons contains {"code": "approvals_missing", "roles": missing_roles} if {
	input.action == "execute"
	not approvals_are_complete
}
