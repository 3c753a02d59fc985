"""How an account signs in: invitations, names, passkeys, passwords. Each change leaves a receipt of the person in the tenant.

An account is global, so a change made in one tenant holds in all of its tenants; the receipt is where the change was made.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from psycopg.errors import UniqueViolation

from trustpack.capabilities.directory import store as people
from trustpack.capabilities.directory.model import Person, UnknownName
from trustpack.capabilities.directory.model.sessions import (
    Invitation,
    InvitationNotOpen,
    Invited,
    LastWayIn,
    MethodNotAllowed,
    NameTaken,
    OpenedSession,
    PasskeyKnown,
    Session,
    WaysIn,
)
from trustpack.capabilities.directory.rules import (
    INVITATION_LIFETIME,
    read_session_text,
    readable_label,
    session_text,
    sign_in_name,
)
from trustpack.capabilities.directory.service.context import SignIn
from trustpack.capabilities.directory.service.recording import person_by_handle, record_change
from trustpack.capabilities.directory.service.sessions import actor_of, end_all_sessions, open_session
from trustpack.capabilities.directory.service.signing_in import Begun, keep, take
from trustpack.capabilities.directory.store import accounts as store
from trustpack.capabilities.directory.store import sessions as invitations
from trustpack.kernel.actor import Actor, ActorKind
from trustpack.kernel.clock import format_time
from trustpack.kernel.errors import NotFound
from trustpack.kernel.json_types import JsonValue
from trustpack.platform.auth.passkeys import NewPasskey, challenge_of, new_challenge
from trustpack.platform.auth.passwords import Passwords
from trustpack.platform.auth.ports import Ceremony
from trustpack.platform.entropy import new_secret
from trustpack.platform.unit_of_work import Transaction
from trustpack.proof.canonical import digest_of

INVITATION_KIND = "invitation"
PASSKEY = "passkey"
PASSWORD = "password"  # noqa: S105 - the name of a way to sign in
_ADD_PASSKEY = "add_passkey"


@dataclass(frozen=True, slots=True)
class IssuedInvitation:
    """An invitation at the only moment at which its text exists outside its owner's hands."""

    id: str
    text: str = field(repr=False)
    expires_at: str


async def invite(tx: Transaction, actor: Actor, *, handle: str, account_id: str | None = None) -> IssuedInvitation:
    """Make the link by which a person sets up how they sign in; earlier ones of the account are withdrawn.

    Raises `UnknownName`: for somebody who does not exist, is deactivated, is a bot, or has no such account.
    """
    person = await person_by_handle(tx, handle)
    linked = await people.accounts_of(tx, person.id)
    account = account_id or linked[0]
    if account not in linked or not person.is_active or person.kind != ActorKind.PERSON:
        raise UnknownName(f"{handle} has no account that could be invited.")
    for earlier in await invitations.lock_open_invitations(tx, account):
        await _close(tx, actor, earlier, status="withdrawn")
    text = session_text(tx.tenant_id, new_secret())
    invitation = Invitation(
        id=tx.new_id("ivt"),
        version=1,
        status="open",
        account_id=account,
        person_id=person.id,
        expires_at=tx.now + INVITATION_LIFETIME,
    )
    end = format_time(invitation.expires_at)
    await invitations.insert_invitation(tx, invitation, digest=digest_of(text.encode()))
    payload: dict[str, JsonValue] = {"person": person.id, "account": account, "expires_at": end}
    await record_change(tx, actor, (INVITATION_KIND, invitation.id, 1), ("issued", invitation.status), payload)
    return IssuedInvitation(id=invitation.id, text=text, expires_at=end)


async def read_invitation(sign_in: SignIn, text: str) -> Invited:
    """Return whom an open invitation is for. Raises `InvitationNotOpen`."""
    tenant_id, digest = _parts(text)
    async with sign_in.unit_of_work.transaction(tenant_id) as tx:
        invitation = _require_open(await invitations.find_invitation(tx, digest), tx)
        [person] = await people.people_with_ids(tx, [invitation.person_id])
        tenant = await people.find_tenant(tx)
        assert tenant is not None  # whoever is in it
        return Invited(
            tenant_id=tenant_id,
            tenant_name=tenant.name,
            handle=person.handle,
            display_name=person.display_name,
            account_id=invitation.account_id,
            sign_in_name=await store.name_of(tx, invitation.account_id),
            expires_at=invitation.expires_at,
        )


async def begin_passkey(sign_in: SignIn, *, account_id: str, name: str, display_name: str) -> Begun:
    """Ask an authenticator to make a key for an account. `name` is what it shows beside the key."""
    kept = new_challenge()
    ask = sign_in.authenticators.ask_for_new_key(
        challenge=challenge_of(kept),
        account_id=account_id,
        name=name,
        display_name=display_name,
        known=await store.credentials_of(sign_in.unit_of_work, account_id),
    )
    return await keep(sign_in, _ADD_PASSKEY, Ceremony(ask=ask, kept=kept), account_id=account_id)


async def accept_with_passkey(
    sign_in: SignIn, text: str, *, answer: str, ticket: str | None, label: str, name: str | None, client: str
) -> OpenedSession:
    """Use up an invitation: the new key signs in from now on, and a session is open.

    Raises `InvitationNotOpen`, `SignInFailed`, `PasskeyKnown`, `NameTaken`, `InvalidSignInName`.
    """
    invited = await read_invitation(sign_in, text)
    made = await _made(sign_in, answer, ticket=ticket, account_id=invited.account_id)
    async with sign_in.unit_of_work.transaction(invited.tenant_id) as tx:
        actor, person = await _accept(tx, text, name=name)
        await _add_passkey(tx, actor, person, made=made, label=label)
        return await open_session(tx, invited.account_id, method=PASSKEY, client=client, limits=sign_in.limits)


async def accept_with_password(sign_in: SignIn, text: str, *, password: str, name: str | None, client: str) -> OpenedSession:
    """Use up an invitation: the account's name and this password sign in from now on, and a session is open.

    Raises `InvitationNotOpen`, `WeakPassword`, `NameTaken`, `InvalidSignInName`, `MethodNotAllowed`.
    """
    invited = await read_invitation(sign_in, text)
    password_hash = await _passwords(sign_in).hash(password)
    async with sign_in.unit_of_work.transaction(invited.tenant_id) as tx:
        actor, person = await _accept(tx, text, name=name or invited.sign_in_name or "")
        await _put_password(tx, actor, person, password_hash)
        return await open_session(tx, invited.account_id, method=PASSWORD, client=client, limits=sign_in.limits)


async def add_passkey(sign_in: SignIn, session: Session, *, answer: str, ticket: str | None, label: str) -> None:
    """Give the account of a session one more passkey. Raises `SignInFailed`, `PasskeyKnown`."""
    made = await _made(sign_in, answer, ticket=ticket, account_id=_account(session.actor))
    async with sign_in.unit_of_work.transaction(session.actor.tenant_id) as tx:
        await _add_passkey(tx, session.actor, await _own_person(tx, session.actor), made=made, label=label)


async def remove_passkey(sign_in: SignIn, session: Session, passkey_id: str) -> None:
    """Take a passkey from the account of a session. Raises `NotFound`, `LastWayIn`."""
    async with sign_in.unit_of_work.transaction(session.actor.tenant_id) as tx:
        account_id = _account(session.actor)
        await store.lock_ways_in(tx, account_id)
        held = {passkey.id: passkey for passkey in await store.passkeys_of(tx, account_id)}
        if passkey_id not in held:
            raise NotFound
        if len(held) == 1 and not (sign_in.passwords is not None and await store.has_password(tx, account_id)):
            raise LastWayIn
        await store.remove_passkey(tx, passkey_id)
        await _change(
            tx,
            session.actor,
            await _own_person(tx, session.actor),
            "passkey_removed",
            {"account": account_id, "passkey": passkey_id},
        )


async def ways_in(tx: Transaction, actor: Actor) -> WaysIn:
    """Return how the actor's account signs in."""
    account_id = _account(actor)
    return WaysIn(
        passkeys=await store.passkeys_of(tx, account_id),
        sign_in_name=await store.name_of(tx, account_id),
        has_password=await store.has_password(tx, account_id),
    )


async def set_password(sign_in: SignIn, session: Session, password: str) -> None:
    """Give the account of a session a password, instead of an earlier one, and end the person's other sessions in the tenant.

    The same password again is no change. Raises `WeakPassword`, `MethodNotAllowed`.
    """
    passwords, actor = _passwords(sign_in), session.actor
    password_hash = await passwords.hash(password)
    compared: str | None = None
    while True:
        # Comparing takes long, so it is done outside of the transaction, with what stood there at the last look.
        is_same = compared is not None and await passwords.is_right(password, stored=compared)
        async with sign_in.unit_of_work.transaction(actor.tenant_id) as tx:
            person = await _own_person(tx, actor)
            stored = await store.password_of(tx, _account(actor))
            if stored == compared:
                if not is_same:
                    await _put_password(tx, actor, person, password_hash)
                await end_all_sessions(tx, actor, but=session.id)
                return
        compared = stored


async def remove_password(sign_in: SignIn, session: Session) -> None:
    """Take the password from the account of a session. Raises `LastWayIn`, `NotFound`."""
    async with sign_in.unit_of_work.transaction(session.actor.tenant_id) as tx:
        account_id = _account(session.actor)
        await store.lock_ways_in(tx, account_id)
        if not await store.has_password(tx, account_id):
            raise NotFound
        if not await store.passkeys_of(tx, account_id):
            raise LastWayIn
        await store.remove_password(tx, account_id)
        await _change(tx, session.actor, await _own_person(tx, session.actor), "password_removed", {"account": account_id})


async def change_name(tx: Transaction, actor: Actor, name: str | None) -> None:
    """Give the actor's account another sign-in name, or none. Raises `NameTaken`, `InvalidSignInName`."""
    await _put_name(tx, actor, await _own_person(tx, actor), name)


async def _accept(tx: Transaction, text: str, *, name: str | None) -> tuple[Actor, Person]:
    invitation = _require_open(await invitations.lock_invitation(tx, _parts(text)[1]), tx)
    person = await people.lock_person(tx, invitation.person_id)
    if person is None or not person.is_active:
        raise InvitationNotOpen
    actor = actor_of(person, tenant_id=tx.tenant_id, account_id=invitation.account_id)
    await _close(tx, actor, invitation, status="used")
    if name is not None:
        person = await _put_name(tx, actor, person, name)
    return actor, person


async def _add_passkey(tx: Transaction, actor: Actor, person: Person, *, made: NewPasskey, label: str) -> None:
    account_id, passkey_id, shown = _account(actor), tx.new_id("key"), readable_label(label, default="Passkey")
    try:
        await store.insert_passkey(tx, passkey_id=passkey_id, account_id=account_id, made=made, label=shown)
        await tx.flush()
    except UniqueViolation as violation:
        raise PasskeyKnown from violation
    payload: dict[str, JsonValue] = {
        "account": account_id,
        "passkey": passkey_id,
        "credential_digest": digest_of(made.credential_id),
    }
    await _change(tx, actor, person, "passkey_added", payload, personal={"label": shown})


async def _put_password(tx: Transaction, actor: Actor, person: Person, password_hash: str) -> None:
    account_id = _account(actor)
    await store.put_password(tx, account_id, password_hash)
    await _change(tx, actor, person, "password_set", {"account": account_id})


async def _put_name(tx: Transaction, actor: Actor, person: Person, text: str | None) -> Person:
    account_id = _account(actor)
    if text is None:
        await store.remove_name(tx, account_id)
        return await _change(tx, actor, person, "sign_in_name_removed", {"account": account_id})
    name = sign_in_name(text)
    if name == await store.name_of(tx, account_id):
        return person
    try:
        await store.put_name(tx, account_id, name)
        await tx.flush()
    except UniqueViolation as violation:
        raise NameTaken from violation
    return await _change(tx, actor, person, "sign_in_name_set", {"account": account_id}, personal={"sign_in_name": name})


async def _change(
    tx: Transaction,
    actor: Actor,
    person: Person,
    action: str,
    payload: dict[str, JsonValue],
    *,
    personal: dict[str, JsonValue] | None = None,
) -> Person:
    changed = replace(person, version=person.version + 1)
    await people.update_person(tx, changed)
    await record_change(tx, actor, ("person", person.id, changed.version), (action, person.status), payload, personal=personal)
    return changed


async def _close(tx: Transaction, actor: Actor, invitation: Invitation, *, status: str) -> None:
    await invitations.update_invitation(tx, invitation, status=status)
    await record_change(tx, actor, (INVITATION_KIND, invitation.id, invitation.version + 1), (status, status), {})


async def _made(sign_in: SignIn, answer: str, *, ticket: str | None, account_id: str) -> NewPasskey:
    kept = await take(sign_in, _ADD_PASSKEY, ticket, account_id=account_id)
    return sign_in.authenticators.verify_new_key(answer, challenge=challenge_of(kept))


def _passwords(sign_in: SignIn) -> Passwords:
    if sign_in.passwords is None:
        raise MethodNotAllowed
    return sign_in.passwords


async def _own_person(tx: Transaction, actor: Actor) -> Person:
    person = await people.lock_person(tx, actor.id)
    assert person is not None  # people are never deleted
    return person


def _account(actor: Actor) -> str:
    assert actor.account_id is not None  # whoever signed in did so by an account
    return actor.account_id


def _parts(text: str) -> tuple[str, str]:
    parts = read_session_text(text)
    if parts is None:
        raise InvitationNotOpen
    return parts


def _require_open(invitation: Invitation | None, tx: Transaction) -> Invitation:
    if invitation is None or invitation.status != "open" or invitation.expires_at <= tx.now:
        raise InvitationNotOpen
    return invitation
