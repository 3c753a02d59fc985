"""What can go wrong with a deal, each with what to do next."""

from __future__ import annotations

from trustpack.kernel.errors import ErrorKind, TrustpackError


class WrongQuoteState(TrustpackError):
    """The quote is in a state in which the command means nothing."""

    kind = ErrorKind.CONFLICT
    code = "revops.wrong_state"
    title = "The quote is in another state"
    next_step = "Load the quote again and act on its current state."


class InvalidContact(TrustpackError):
    """The e-mail address or the company of a lead cannot be one; `errors` names the fields."""

    kind = ErrorKind.INVALID
    code = "revops.invalid_contact"
    title = "The lead's contact is not valid"
    next_step = "Correct the named fields."


class LeadTaken(TrustpackError):
    """The mailbox is a lead already, of people whose deals the caller may not read; `owner` names whom to ask."""

    kind = ErrorKind.CONFLICT
    code = "revops.lead_taken"
    title = "Somebody else has this lead"
    detail = "The mailbox is a lead of another team already; nothing was stored."
    next_step = "Ask the named owner about it."


class SellersOnly(TrustpackError):
    """The caller holds none of the roles that sell."""

    kind = ErrorKind.FORBIDDEN
    code = "revops.sellers_only"
    title = "This is for people who sell"
    detail = "Only account executives, managers and administrators may do this."
    next_step = "Ask an administrator for the role `ae`, or ask an account executive to do it."


class InvalidQuote(TrustpackError):
    """The terms cannot be what was meant; `errors` lists `{"field", "message"}`."""

    kind = ErrorKind.INVALID
    code = "revops.invalid_quote"
    title = "The quote is not valid"
    next_step = "Correct the named fields and send the quote again."


class UnknownOpportunity(TrustpackError):
    """The opportunity does not exist for this caller."""

    kind = ErrorKind.INVALID
    code = "revops.unknown_opportunity"
    title = "Unknown opportunity"
    detail = "There is no such opportunity."
    next_step = "Take the lead in first with `POST /revops/leads`; its answer names the opportunity."


class StaleTerms(TrustpackError):
    """The vote names other terms than the quote has now."""

    kind = ErrorKind.CONFLICT
    code = "revops.stale_terms"
    title = "The quote has changed"
    detail = "The terms changed since they were shown to you; your vote was not recorded."
    next_step = "Load the quote, read the terms as they are now, and vote on their digest."


class DigestRequired(TrustpackError):
    """A setting of the installation: a vote counts only when it names the terms that were shown."""

    kind = ErrorKind.INVALID
    code = "revops.digest_required"
    title = "The vote must name what it approves"
    detail = "The vote does not name the digest of the terms that were shown."
    next_step = "Send `terms_digest` as the quote shows it."


class SelfApprovalForbidden(TrustpackError):
    """Nobody who created, changed, submitted, owns or benefits from a deal approves it beyond the owner's own band."""

    kind = ErrorKind.FORBIDDEN
    code = "revops.self_approval_forbidden"
    title = "You cannot approve this quote"
    detail = "You own this quote or had a part in it; it takes other people to approve it."
    next_step = "Ask somebody else who holds one of the required roles; `preview-approvals` names them."


class RoleNotRequired(TrustpackError):
    """The caller holds none of the roles that this quote needs, or claims another."""

    kind = ErrorKind.FORBIDDEN
    code = "revops.role_not_required"
    title = "Your role is not asked for"
    detail = "This quote needs the approval of other roles than yours."
    next_step = "Ask somebody who holds one of the required roles."


class RoleNotHeld(TrustpackError):
    """The caller claims a required role that is not theirs to fill."""

    kind = ErrorKind.FORBIDDEN
    code = "revops.role_not_held"
    title = "You do not hold this role"
    detail = "You do not hold the role that you claim."
    next_step = "Approve with a role that you hold."


class NotAPerson(TrustpackError):
    """Only people vote."""

    kind = ErrorKind.FORBIDDEN
    code = "revops.not_a_person"
    title = "Only people approve"
    detail = "Only an active person may approve or reject; bots and the system may not."
    next_step = "Ask a person who holds one of the required roles."


class NobodyCanApprove(TrustpackError):
    """Nobody in the tenant could fill a required role, so the quote would wait for ever."""

    kind = ErrorKind.CONFLICT
    code = "revops.nobody_can_approve"
    title = "Nobody can approve this quote"
    next_step = "Ask one of the named administrators to give the role to somebody who had no part in the quote."


class ApprovalsExpired(TrustpackError):
    """The time for approvals, or for using them, is over."""

    kind = ErrorKind.CONFLICT
    code = "revops.approvals_expired"
    title = "The time is over"
    detail = "The time in which this quote could be approved or activated is over."
    next_step = "Revise the quote and submit it again."


class QuoteExpired(TrustpackError):
    """The quote is past its `valid_until`."""

    kind = ErrorKind.CONFLICT
    code = "revops.quote_expired"
    title = "The quote is no longer valid"
    detail = "The quote is past the last day of its validity."
    next_step = "Revise the quote with a later `valid_until` and submit it again."


class PolicyStricter(TrustpackError):
    """At activation the policy asks for more than was approved (research/revops case 31)."""

    kind = ErrorKind.CONFLICT
    code = "revops.policy_stricter"
    title = "The approvals are no longer enough"
    detail = "The policy now asks for approvals that this quote does not have."
    next_step = "Change its terms, or recall it and write them anew; then submit it to the people who are required now."


class ListPricesChanged(TrustpackError):
    """A draft measures its discounts by list prices that the price book has changed since it was written."""

    kind = ErrorKind.CONFLICT
    code = "revops.list_prices_changed"
    title = "The list prices have changed"
    detail = "The price book has changed since these terms were written, so their discounts are other ones today."
    next_step = "Send the terms again (`PATCH /revops/quotes/{id}`), which prices them anew, then submit the quote."


class EditedMeanwhile(TrustpackError):
    """Something happened to the quote since its form was opened, so what was written there was not about it as it is."""

    kind = ErrorKind.CONFLICT
    code = "revops.edited_meanwhile"
    title = "The quote has changed"
    detail = "Something happened to the quote since you opened it; nothing of yours was stored."
    next_step = "Read what happened, then save again if your changes still hold."


class QuoteMoved(TrustpackError):
    """The quote keeps changing while it is being decided about."""

    kind = ErrorKind.CONFLICT
    code = "revops.quote_moved"
    title = "The quote keeps changing"
    detail = "The quote changed while policy was being asked about it."
    next_step = "Load the quote again and repeat the step."


class TooManyChanges(TrustpackError):
    """The quote has as many receipts as one quote may have, so that everybody can still read all of them."""

    kind = ErrorKind.CONFLICT
    code = "revops.too_many_changes"
    title = "The quote was changed too often"
    detail = "The quote has more receipts than one quote may have; it can still be decided about, but not changed."
    next_step = "Clone the quote and go on with the copy."


class InvalidPriceFile(TrustpackError):
    """Rows of a price file cannot be taken, so none is; `errors` lists `{"field", "message"}`, with the number of the line."""

    kind = ErrorKind.INVALID
    code = "revops.invalid_price_file"
    title = "The price file is not valid"
    detail = "Nothing of it was taken."
    next_step = "Correct the named lines and import the file again."


class InvalidImportFile(TrustpackError):
    """A file as a whole cannot be imported; `errors` lists `{"field", "message"}`, with the line or the column."""

    kind = ErrorKind.INVALID
    code = "revops.invalid_import_file"
    title = "The file cannot be imported"
    next_step = "Correct the named columns and import the file again; nothing was stored."


class NobodyToOwn(TrustpackError):
    """No account executive could own the opportunity of a lead that the system itself takes in."""

    kind = ErrorKind.CONFLICT
    code = "revops.nobody_to_own"
    title = "Nobody could own the opportunity"
    detail = "The team that the lead is routed to has no active account executive."
    next_step = "Name an `owner` in the row, name one for all such rows with --owner, or give the team an account executive."


class UnknownOwner(TrustpackError):
    """The named owner is nobody who sells."""

    kind = ErrorKind.INVALID
    code = "revops.unknown_owner"
    title = "Unknown owner"
    detail = "There is no active person with this handle who sells."
    next_step = "Name somebody who holds the role `ae`, `manager` or `admin`."
