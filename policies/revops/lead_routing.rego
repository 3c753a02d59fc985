# METADATA
# title: Lead routing
# description: |
#   Which team gets a lead. The first rule that fits decides; where none does, the lead goes to the fallback team, so that no
#   lead is without an owner.
# custom:
#   story: "2.2"
package revops.lead_routing

# METADATA
# title: Decision
# description: The one answer of this package; the reason `routed` names team and rule.
# entrypoint: true
# custom:
#   story: "2.2"
decision := {
	"allow": allow,
	"reasons": sort(reasons),
	"required_approvals": [],
	"self_approvable": [],
}

default allow := false

# METADATA
# title: A lead of a known form goes to exactly one team
# custom:
#   story: "2.2"
allow if {
	input.action == "route"
	routing
}

# METADATA
# title: The first rule that fits
# custom:
#   story: "2.2"
fitting contains i if {
	some i, rule in input.parameters.rules
	fits_account(rule)
	fits_segment(rule)
	fits_region(rule)
	has_at_least(rule)
	has_at_most(rule)
}

fits_account(rule) if not rule.existing_account

fits_account(rule) if {
	rule.existing_account
	input.resource.account_team != null
}

fits_segment(rule) if not rule.segments

fits_segment(rule) if input.resource.segment in rule.segments

fits_region(rule) if not rule.regions

fits_region(rule) if input.resource.region in rule.regions

has_at_least(rule) if not rule.min_employees

# Null is smaller than every number, so that an unknown size reaches no minimum.
has_at_least(rule) if input.resource.employees >= rule.min_employees

has_at_most(rule) if not rule.max_employees

has_at_most(rule) if {
	is_number(input.resource.employees)
	input.resource.employees <= rule.max_employees
}

routing := {"rule": rule.name, "team": team_of(rule)} if {
	rule := input.parameters.rules[min(fitting)]
}

else := {"rule": "fallback", "team": input.parameters.fallback_team}

team_of(rule) := input.resource.account_team if rule.existing_account

team_of(rule) := rule.team if not rule.existing_account

# METADATA
# title: Where the lead goes, and why
# custom:
#   reason: routed
#   story: "2.2"
reasons contains {
	"code": "routed",
	"rule": routing.rule,
	"team": routing.team,
	"sla_seconds": input.parameters.sla_seconds,
} if {
	allow
}

# METADATA
# title: Only routing is decided here
# custom:
#   reason: routing_action_unknown
#   story: "2.2"
reasons contains {"code": "routing_action_unknown"} if input.action != "route"
