package revops.discount_approvals_test

import data.revops.discount_approvals

parameters := {
	"seller_roles": ["ae"],
	"measures": ["declared", "blended", "largest_line", "recurring"],
	"matrix": [
		{
			"segments": [],
			"up_to": {"numerator": 20, "denominator": 100},
			"pricing": ["catalogued", "bare_amount"],
			"approvals": ["ae"],
			"self_approvable": ["ae"],
		},
		{
			"segments": [],
			"up_to": {"numerator": 100, "denominator": 100},
			"pricing": ["catalogued", "bare_amount", "uncatalogued"],
			"approvals": ["manager", "finance"],
			"self_approvable": [],
		},
	],
}

nothing := {"numerator": 0, "denominator": 1}

submission := {
	"action": "submit",
	"now": 1763755200,
	"subject": {"id": "usr_ae", "roles": ["ae"], "kind": "person"},
	"resource": {
		"owner": "usr_ae",
		"segment": "enterprise",
		"currency": "USD",
		"list_minor": 10000000,
		"net_minor": 9000000,
		"pricing": "catalogued",
		"discounts": {
			"declared": nothing,
			"blended": nothing,
			"largest_line": nothing,
			"recurring": nothing,
			"linked": nothing,
		},
	},
	"parameters": parameters,
}

with_resource(resource) := object.union(submission, {"resource": resource})

with_discount(name, numerator, denominator) := with_resource({"discounts": {name: {"numerator": numerator, "denominator": denominator}}})

with_subject(subject) := object.union(submission, {"subject": subject})

with_parameters(changed) := object.union(submission, {"parameters": changed})

codes(decision) := [reason.code | some reason in decision.reasons]

own_band(decision) if {
	decision.allow
	decision.required_approvals == ["ae"]
	decision.self_approvable == ["ae"]
	decision.reasons == []
}

both(decision) if {
	decision.allow
	decision.required_approvals == ["manager", "finance"]
	decision.self_approvable == []
}

test_ten_percent_is_the_sellers_own if {
	decision := discount_approvals.decision with input as with_discount("declared", 10, 100)
	own_band(decision)
}

test_exactly_twenty_percent_is_the_sellers_own if {
	decision := discount_approvals.decision with input as with_discount("declared", 20, 100)
	own_band(decision)
}

test_just_below_twenty_percent_is_the_sellers_own if {
	decision := discount_approvals.decision with input as with_discount("declared", 199999, 1000000)
	own_band(decision)
}

test_just_above_twenty_percent_needs_manager_and_finance if {
	decision := discount_approvals.decision with input as with_discount("declared", 200001, 1000000)
	both(decision)
	decision.reasons == [{
		"code": "discount_above_limit",
		"measure": "declared",
		"limit": {"numerator": 20, "denominator": 100},
		"discount": {"numerator": 200001, "denominator": 1000000},
	}]
}

test_twenty_five_percent_needs_manager_and_finance if {
	decision := discount_approvals.decision with input as with_discount("blended", 25, 100)
	both(decision)
}

test_one_deep_line_cannot_hide_behind_an_undiscounted_one if {
	decision := discount_approvals.decision with input as with_discount("largest_line", 45, 100)
	both(decision)
}

test_the_recurring_part_decides_too if {
	decision := discount_approvals.decision with input as with_discount("recurring", 2177, 10000)
	both(decision)
}

test_linked_quotes_are_told_and_decide_only_where_a_parameter_says_so if {
	linked := with_discount("linked", 30, 100)
	told := discount_approvals.decision with input as linked
	own_band(told)
	deciding := object.union(linked, {"parameters": {"measures": ["blended", "linked"]}})
	decision := discount_approvals.decision with input as deciding
	both(decision)
}

test_a_hundred_percent_needs_manager_and_finance if {
	decision := discount_approvals.decision with input as with_discount("blended", 1, 1)
	both(decision)
}

test_a_line_in_no_price_book_needs_manager_and_finance if {
	decision := discount_approvals.decision with input as with_resource({"pricing": "uncatalogued"})
	both(decision)
	decision.reasons == [{"code": "not_in_price_book", "pricing": "uncatalogued"}]
}

test_a_bare_amount_is_priced_as_it_stands if {
	decision := discount_approvals.decision with input as with_resource({"pricing": "bare_amount"})
	own_band(decision)
}

test_amounts_near_the_largest_are_compared_exactly if {
	exact := with_discount("blended", 1801439850948198, 9007199254740990)
	at_limit := discount_approvals.decision with input as exact
	own_band(at_limit)
	above_it := discount_approvals.decision with input as with_discount("blended", 1801439850948199, 9007199254740990)
	both(above_it)
}

test_a_segment_can_have_rows_of_its_own if {
	row := {
		"segments": ["public_sector"],
		"up_to": {"numerator": 5, "denominator": 100},
		"pricing": ["catalogued"],
		"approvals": ["finance"],
		"self_approvable": [],
	}
	changed := with_parameters({"matrix": array.concat([row], parameters.matrix)})
	of_segment := object.union(changed, {"resource": {"segment": "public_sector"}})
	covered := discount_approvals.decision with input as of_segment
	covered.required_approvals == ["finance"]
	deeper := object.union(of_segment, {"resource": {"discounts": {"blended": {"numerator": 6, "denominator": 100}}}})
	decision := discount_approvals.decision with input as deeper
	decision.required_approvals == ["ae"]
	codes(decision) == ["discount_above_limit"]
	other := discount_approvals.decision with input as changed
	own_band(other)
}

test_a_quote_that_no_row_covers_is_refused if {
	only_small := with_parameters({"matrix": [parameters.matrix[0]]})
	deep := object.union(only_small, {"resource": {"discounts": {"blended": {"numerator": 50, "denominator": 100}}}})
	decision := discount_approvals.decision with input as deep
	not decision.allow
	decision.required_approvals == []
	codes(decision) == ["discount_above_limit", "discount_not_covered"]
}

test_a_quote_of_a_segment_without_rows_is_refused if {
	row := object.union(parameters.matrix[1], {"segments": ["enterprise"]})
	changed := object.union(with_parameters({"matrix": [row]}), {"resource": {"segment": "other"}})
	decision := discount_approvals.decision with input as changed
	not decision.allow
	codes(decision) == ["discount_not_covered"]
}

test_activation_is_decided_by_the_same_rules if {
	decision := discount_approvals.decision with input as object.union(with_discount("blended", 25, 100), {"action": "activate"})
	both(decision)
}

test_invalid_role_is_refused_with_the_roles_that_may if {
	decision := discount_approvals.decision with input as with_subject({"roles": ["auditor", "finance"]})
	not decision.allow
	decision.reasons == [{"code": "seller_role_missing", "roles": ["ae"]}]
}

test_bot_is_refused if {
	decision := discount_approvals.decision with input as with_subject({"kind": "bot"})
	not decision.allow
	codes(decision) == ["seller_not_person"]
}

test_unknown_action_is_refused if {
	decision := discount_approvals.decision with input as object.union(submission, {"action": "approve"})
	not decision.allow
	codes(decision) == ["quote_action_unknown"]
}

test_net_above_list_is_refused if {
	decision := discount_approvals.decision with input as with_resource({"net_minor": 10000001})
	not decision.allow
	codes(decision) == ["amounts_invalid"]
}

test_negative_net_is_refused if {
	decision := discount_approvals.decision with input as with_resource({"net_minor": -1})
	not decision.allow
	codes(decision) == ["amounts_invalid"]
}

test_discounts_that_are_no_fractions_are_refused if {
	every pair in [[-1, 100], [101, 100], [1, 0], ["20", 100], [20, null]] {
		decision := discount_approvals.decision with input as with_discount("blended", pair[0], pair[1])
		not decision.allow
		"discount_invalid" in codes(decision)
	}
}

test_a_parameter_set_that_lets_nothing_decide_refuses if {
	decision := discount_approvals.decision with input as with_parameters({"measures": []})
	not decision.allow
	codes(decision) == ["discount_invalid"]
}

test_every_missing_field_refuses if {
	every path in [
		["action"],
		["subject"],
		["subject", "roles"],
		["subject", "kind"],
		["resource"],
		["resource", "list_minor"],
		["resource", "net_minor"],
		["resource", "pricing"],
		["resource", "discounts"],
		["resource", "discounts", "declared"],
		["parameters"],
		["parameters", "matrix"],
		["parameters", "measures"],
		["parameters", "seller_roles"],
	] {
		pointer := concat("", ["/", concat("/", path)])
		decision := discount_approvals.decision with input as json.remove(submission, [pointer])
		not decision.allow
	}
}

test_empty_input_is_refused if {
	decision := discount_approvals.decision with input as {}
	not decision.allow
	decision.required_approvals == []
	decision.self_approvable == []
}
