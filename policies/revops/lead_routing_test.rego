package revops.lead_routing_test

import data.revops.lead_routing

lead := {
	"action": "route",
	"now": 1763755200,
	"resource": {"segment": "other", "region": "emea", "employees": null, "account_team": null},
	"parameters": {
		"rules": [
			{"name": "existing_account", "existing_account": true},
			{"name": "emea_enterprise", "segments": ["enterprise"], "regions": ["emea"], "team": "enterprise-emea"},
			{"name": "enterprise_segment", "segments": ["enterprise"], "team": "enterprise"},
			{"name": "enterprise_by_size", "min_employees": 1000, "team": "enterprise"},
			{"name": "mid_market_by_size", "min_employees": 200, "max_employees": 999, "team": "mid-market"},
			{"name": "small", "max_employees": 10, "team": "self-service"},
		],
		"fallback_team": "triage",
		"sla_seconds": 14400,
	},
}

with_resource(resource) := object.union(lead, {"resource": resource})

routed(decision, rule, team) if {
	decision.allow
	decision.reasons == [{"code": "routed", "rule": rule, "team": team, "sla_seconds": 14400}]
}

test_the_first_rule_that_fits_decides if {
	decision := lead_routing.decision with input as with_resource({"segment": "enterprise"})
	routed(decision, "emea_enterprise", "enterprise-emea")
}

test_a_rule_of_another_region_is_passed_over if {
	decision := lead_routing.decision with input as with_resource({"segment": "enterprise", "region": "amer"})
	routed(decision, "enterprise_segment", "enterprise")
}

test_a_known_account_stays_with_its_team if {
	decision := lead_routing.decision with input as with_resource({"segment": "enterprise", "account_team": "key-accounts"})
	routed(decision, "existing_account", "key-accounts")
}

test_size_decides_at_both_ends_of_a_range if {
	expected := {10: "small", 11: "fallback", 199: "fallback", 200: "mid_market_by_size", 999: "mid_market_by_size", 1000: "enterprise_by_size"}
	every employees, rule in expected {
		decision := lead_routing.decision with input as with_resource({"employees": employees})
		decision.reasons[0].rule == rule
	}
}

test_a_lead_of_unknown_size_goes_to_the_fallback_team if {
	decision := lead_routing.decision with input as lead
	routed(decision, "fallback", "triage")
}

test_another_action_is_refused if {
	decision := lead_routing.decision with input as object.union(lead, {"action": "submit"})
	not decision.allow
	decision.reasons == [{"code": "routing_action_unknown"}]
}

test_missing_parameters_are_refused if {
	decision := lead_routing.decision with input as json.remove(lead, ["/parameters"])
	not decision.allow
	decision.reasons == []
}

test_empty_input_is_refused if {
	decision := lead_routing.decision with input as {}
	not decision.allow
}
