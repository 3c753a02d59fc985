"""What can go wrong with a high-risk operation, each with what to do next."""

from __future__ import annotations

from trustpack.kernel.errors import ErrorKind, TrustpackError


class TargetUnavailable(TrustpackError):
    """The target could not be reached or did not answer in time; what happened there is not known."""

    kind = ErrorKind.UNAVAILABLE
    code = "operations.target_unavailable"
    title = "The target cannot be reached"
    detail = "The target database could not be reached."
    next_step = "Check that the target runs and that its address is right, then try again."


class TargetRefused(TrustpackError):
    """The target said no, and nothing was changed."""

    kind = ErrorKind.CONFLICT
    code = "operations.target_refused"
    title = "The target refused"
    detail = "The target database refused the operation; nothing was changed."
    next_step = "Read the reason, mend the target with `trustpack target check`, then try again."


class TargetNotPrepared(TrustpackError):
    """Our schema is missing from the target or has been altered."""

    kind = ErrorKind.CONFLICT
    code = "operations.target_not_prepared"
    title = "The target is not prepared"
    detail = "The target database does not hold the installation that this definition needs."
    next_step = "Run `trustpack target install` for this target, then `trustpack target check`."


class TargetDrifted(TrustpackError):
    """Another system answers than the one that was approved, or our installation in it was altered; nothing was changed."""

    kind = ErrorKind.CONFLICT
    code = "operations.target_drifted"
    title = "The target is not the approved one"
    detail = "The target is no longer the system, or the installation, that was approved; nothing was changed."
    next_step = "Run `trustpack target check`, register the target again if the change was meant, and have it approved anew."


class UnknownTarget(TrustpackError):
    """The tenant has no target of that name."""

    kind = ErrorKind.INVALID
    code = "operations.unknown_target"
    title = "Unknown target"
    detail = "This tenant has no target of that name."
    next_step = "Name a registered target; an administrator adds one with `trustpack target add`."


class OutsideTarget(TrustpackError):
    """The request asks for something that the target's definition does not offer: another environment, scope or duration."""

    kind = ErrorKind.INVALID
    code = "operations.outside_target"
    title = "The target does not offer this"
    next_step = "Ask for what the target's definition offers."


class WrongState(TrustpackError):
    """The request is in a state in which the command means nothing."""

    kind = ErrorKind.CONFLICT
    code = "operations.wrong_state"
    title = "The request is in another state"
    next_step = "Load the request again and act on its current state."


class WindowClosed(TrustpackError):
    """The time for approvals, or for using them, is over (adversarial case 13)."""

    kind = ErrorKind.CONFLICT
    code = "operations.window_closed"
    title = "The time is over"
    detail = "The time in which this request could be approved or executed is over."
    next_step = "Make a new request."


class StaleDigest(TrustpackError):
    """The vote names another effect than the one that would be carried out."""

    kind = ErrorKind.CONFLICT
    code = "operations.stale_digest"
    title = "What you saw has changed"
    detail = "The effect changed since it was shown to you; your vote was not recorded."
    next_step = "Load the request, read the effect as it is now, and vote on its digest."


class DigestRequired(TrustpackError):
    """A setting of the installation: a vote counts only when it names the digest that was shown."""

    kind = ErrorKind.INVALID
    code = "operations.digest_required"
    title = "The vote must name what it approves"
    detail = "The vote does not name the digest of the effect that was shown."
    next_step = "Send `effect_digest` as the request shows it."


class SelfApprovalForbidden(TrustpackError):
    """Nobody approves their own request, whichever of their accounts they use."""

    kind = ErrorKind.FORBIDDEN
    code = "operations.self_approval_forbidden"
    title = "You cannot approve your own request"
    detail = "You asked for this yourself; it takes other people to approve it."
    next_step = "Ask somebody else who holds one of the required roles; the preview names them."


class RoleNotRequired(TrustpackError):
    """The voter has no role that this request needs."""

    kind = ErrorKind.FORBIDDEN
    code = "operations.role_not_required"
    title = "Your role does not approve this"
    detail = "None of your roles, or not the one you named, is required for this request."
    next_step = "Ask somebody who holds one of the required roles."


class RoleNotHeld(TrustpackError):
    """The voter named a role that they cannot fill here."""

    kind = ErrorKind.FORBIDDEN
    code = "operations.role_not_held"
    title = "You do not hold that role"
    detail = "You cannot fill the role that you named."
    next_step = "Vote without naming a role, or name one that you hold."


class OtherTeam(TrustpackError):
    """Team leads approve for their own teams in this installation."""

    kind = ErrorKind.FORBIDDEN
    code = "operations.other_team"
    title = "The requester is in another team"
    detail = "Team leads approve for people of a common team here."
    next_step = "Ask a team lead of the requester's team."


class NotAPerson(TrustpackError):
    """Bots never approve (adversarial case 17)."""

    kind = ErrorKind.FORBIDDEN
    code = "operations.not_a_person"
    title = "Only people approve"
    detail = "A bot or service identity cannot approve or reject."
    next_step = "Have a person vote with their own account."


class RequesterOnly(TrustpackError):
    """Only the person who asked may do this."""

    kind = ErrorKind.FORBIDDEN
    code = "operations.requester_only"
    title = "Only the requester may do this"
    detail = "Only the person who made the request may do this."
    next_step = "Ask the requester."


class RevertForbidden(TrustpackError):
    """Access is ended early by its requester, by somebody who may approve it, or by an administrator."""

    kind = ErrorKind.FORBIDDEN
    code = "operations.revert_forbidden"
    title = "You may not end this access"
    detail = "Only the requester, a person with an approving role, or an administrator may end it early."
    next_step = "Ask one of them; it ends by itself at its time in any case."


class ApprovalsVoid(TrustpackError):
    """What was approved is not what would be carried out, or an approver lost the role: new approvals are needed."""

    kind = ErrorKind.CONFLICT
    code = "operations.approvals_void"
    title = "The approvals no longer hold"
    next_step = "Read the effect as it is now and collect the approvals again; the request waits for them."


class TooManyRefusals(TrustpackError):
    """One person was refused so often on one request that further attempts leave no receipt."""

    kind = ErrorKind.LIMITED
    code = "operations.too_many_refusals"
    title = "Too many refused attempts"
    detail = "You were refused too often on this request; further attempts are not looked at."
    next_step = "Load the request and read why the earlier attempts were refused."


class CredentialsAlreadyShown(TrustpackError):
    """Credentials are shown once."""

    kind = ErrorKind.CONFLICT
    code = "operations.credentials_already_shown"
    title = "The credentials were shown already"
    detail = "The credentials of this access were shown once and are not kept."
    next_step = 'Send `{"rotate": true}` to replace the password by a new one.'
