"""Who is who: tenants, people and their accounts, teams, roles, API tokens.

Owns: identities, memberships, roles, and turning a bearer token into an actor. Every change is a governed subject with a receipt.
Does not own: what a role may do in a flow (policy and approvals decide that).
"""

from trustpack.capabilities.directory.api import SignedIn
from trustpack.capabilities.directory.model import Handle, IssuedToken, NotSignedIn, Person, PersonStatus, UnknownName
from trustpack.capabilities.directory.model.sessions import Session, SessionLimits
from trustpack.capabilities.directory.pages.session import RecentlySignedIn
from trustpack.capabilities.directory.service import (
    actor_of,
    add_person,
    add_team,
    authenticate,
    change_role,
    create_tenant,
    everybody,
    handles_of,
    is_demo_tenant,
    issue_token,
    join_team,
    link_account,
    people_called,
    people_for_share,
    people_with_any_role,
    people_with_ids,
    require_tenant,
    set_person_status,
    team_by_name,
)
from trustpack.capabilities.directory.service.recording import person_by_handle
from trustpack.capabilities.directory.service.saved_views import saved_views

__all__ = [
    "Handle", "IssuedToken", "NotSignedIn", "Person", "PersonStatus", "RecentlySignedIn", "Session", "SessionLimits", "SignedIn",
    "UnknownName", "actor_of", "add_person", "add_team", "authenticate", "change_role", "create_tenant", "everybody",
    "handles_of", "is_demo_tenant", "issue_token", "join_team", "link_account", "people_called", "people_for_share",
    "people_with_any_role", "people_with_ids", "person_by_handle", "require_tenant", "saved_views", "set_person_status",
    "team_by_name",
]  # fmt: skip
