# METADATA
# title: Discount approvals
# description: |
#   Who must approve a quote before it becomes a contract. The first row of the matrix that covers the quote decides; a quote
#   that no row covers is refused. Discounts are fractions of whole minor units and are compared by multiplying across, so that
#   nothing is ever rounded.
# custom:
#   story: "2.6"
package revops.discount_approvals

# METADATA
# title: Decision
# description: The one answer of this package; it is defined for every input, malformed ones included.
# entrypoint: true
# custom:
#   story: "2.6"
decision := {
	"allow": allow,
	"reasons": sort(reasons),
	"required_approvals": required_approvals,
	"self_approvable": self_approvable,
}

default allow := false

# METADATA
# title: A person with a selling role may submit or activate a quote that a row of the matrix covers
# custom:
#   story: "2.7"
allow if {
	action_is_known
	seller_is_person
	seller_has_role
	amounts_are_sound
	measures_are_sound
	count(required_approvals) > 0
}

action_is_known if input.action in {"submit", "activate"}

seller_is_person if input.subject.kind == "person"

seller_has_role if {
	some role in input.subject.roles
	role in input.parameters.seller_roles
}

amounts_are_sound if {
	is_number(input.resource.list_minor)
	is_number(input.resource.net_minor)
	input.resource.net_minor >= 0
	input.resource.net_minor <= input.resource.list_minor
}

# A discount is a fraction between nothing and everything; Rego orders a text above every number.
is_discount(value) if {
	is_number(value.numerator)
	is_number(value.denominator)
	value.denominator > 0
	value.numerator >= 0
	value.numerator <= value.denominator
}

deciding contains name if some name in input.parameters.measures

measures_are_sound if {
	count(deciding) > 0
	every name in deciding {
		is_discount(input.resource.discounts[name])
	}
}

# METADATA
# title: Whether one discount is at most another, exactly
# custom:
#   story: "2.6"
at_most(left, right) if left.numerator * right.denominator <= right.numerator * left.denominator

# METADATA
# title: The rows that cover the quote
# description: |
#   A row covers a quote of its segments (none named: of all) if no deciding discount is above its limit, and if it accepts
#   lines that are in no price book where there are any.
# custom:
#   story: "2.6"
covering contains i if {
	measures_are_sound
	some i, row in input.parameters.matrix
	covers_segment(row)
	covers_pricing(row)
	every name in deciding {
		at_most(input.resource.discounts[name], row.up_to)
	}
}

covers_segment(row) if count(row.segments) == 0

covers_segment(row) if input.resource.segment in row.segments

covers_pricing(row) if input.resource.pricing in row.pricing

row := input.parameters.matrix[min(covering)]

default required_approvals := []

required_approvals := row.approvals

default self_approvable := []

self_approvable := row.self_approvable

# METADATA
# title: The discounts that are above the limit of the first row of the quote's segment
# description: They say why the quote needs more than the seller's own approval.
# custom:
#   story: "2.6"
above contains name if {
	measures_are_sound
	some name in deciding
	not at_most(input.resource.discounts[name], first_limit)
}

first_limit := input.parameters.matrix[min(own_rows)].up_to

own_rows contains i if {
	some i, row in input.parameters.matrix
	covers_segment(row)
}

# METADATA
# title: Only a submission or an activation is decided here
# custom:
#   reason: quote_action_unknown
#   story: "2.7"
reasons contains {"code": "quote_action_unknown"} if not action_is_known

# METADATA
# title: Bots sell nothing
# custom:
#   reason: seller_not_person
#   story: "2.6"
reasons contains {"code": "seller_not_person"} if not seller_is_person

# METADATA
# title: The seller holds none of the selling roles
# custom:
#   reason: seller_role_missing
#   story: "2.6"
reasons contains {"code": "seller_role_missing", "roles": seller_roles} if not seller_has_role

default seller_roles := []

seller_roles := input.parameters.seller_roles

# METADATA
# title: Amounts that cannot be
# custom:
#   reason: amounts_invalid
#   story: "2.6"
reasons contains {"code": "amounts_invalid"} if not amounts_are_sound

# METADATA
# title: A discount that decides is missing, or is no fraction between nothing and everything
# custom:
#   reason: discount_invalid
#   story: "2.6"
reasons contains {"code": "discount_invalid"} if not measures_are_sound

# METADATA
# title: No row of the matrix covers the quote
# custom:
#   reason: discount_not_covered
#   story: "2.6"
reasons contains {"code": "discount_not_covered"} if {
	measures_are_sound
	count(covering) == 0
}

# METADATA
# title: Why more than the first row is needed
# custom:
#   reason: discount_above_limit
#   story: "2.6"
reasons contains {
	"code": "discount_above_limit",
	"measure": name,
	"limit": first_limit,
	"discount": input.resource.discounts[name],
} if {
	some name in above
}

# METADATA
# title: Lines that are in no price book have no list price that a discount could be measured by
# custom:
#   reason: not_in_price_book
#   story: "2.6"
reasons contains {"code": "not_in_price_book", "pricing": input.resource.pricing} if {
	not covers_pricing(input.parameters.matrix[min(own_rows)])
}
