"""Who is who: tenants, people and their accounts, teams, roles, API tokens.

Owns: identities, memberships, roles, and turning a bearer token into an actor. Every change is a governed subject with a receipt.
Does not own: what a role may do in a flow (policy and approvals decide that).
"""

from trustpack.capabilities.directory.api import SignedIn
from trustpack.capabilities.directory.model import NotSignedIn, Person, UnknownName
from trustpack.capabilities.directory.service import (
    add_person,
    add_team,
    authenticate,
    change_role,
    create_tenant,
    handles_of,
    is_demo_tenant,
    issue_token,
    join_team,
    link_account,
    people_for_share,
    people_with_any_role,
    people_with_ids,
    person_by_handle,
    team_by_name,
)

__all__ = [
    "NotSignedIn",
    "Person",
    "SignedIn",
    "UnknownName",
    "add_person",
    "add_team",
    "authenticate",
    "change_role",
    "create_tenant",
    "handles_of",
    "is_demo_tenant",
    "issue_token",
    "join_team",
    "link_account",
    "people_for_share",
    "people_with_any_role",
    "people_with_ids",
    "person_by_handle",
    "team_by_name",
]
