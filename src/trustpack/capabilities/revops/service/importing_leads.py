"""Import leads through the same use case as the API: routed by policy, one per mailbox, with decision, receipts and usage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from psycopg.errors import UniqueViolation

from trustpack.capabilities import directory
from trustpack.capabilities.revops.model import (
    LEAD_KIND,
    FailedRow,
    ImportedId,
    ImportReport,
    LeadRow,
    NobodyToOwn,
    RowOutcome,
    UnknownOwner,
)
from trustpack.capabilities.revops.rules.routing import read_routing
from trustpack.capabilities.revops.rules.visibility import SELLING_ROLES
from trustpack.capabilities.revops.service.context import RevOps
from trustpack.capabilities.revops.service.deciding import keep_decision
from trustpack.capabilities.revops.service.importing import (
    Told,
    batch_transaction,
    compare,
    failed,
    importer,
    in_batches,
    require_tenant,
)
from trustpack.capabilities.revops.service.leads import Incoming, ask_routing, promote
from trustpack.capabilities.revops.service.staffing import Staff
from trustpack.capabilities.revops.store import imports as store
from trustpack.capabilities.revops.store import leads as lead_store
from trustpack.platform.unit_of_work import Transaction

_OTHER_CONTENT = "Leave the lead as it is, or give the row an external id of its own; an import overwrites nothing."
_ENGINE_FAILED = "Check the policy engine and import the file again; rows that were imported are left as they are."
_EARLIER_ROW = "Correct the earlier row with the same mailbox and import the file again."


@dataclass(frozen=True, slots=True)
class _Known:
    """What the store held when policy was about to be asked; `owners` are the ids of people who sell, by handle."""

    ids: dict[str, ImportedId]
    mailboxes: frozenset[str]
    account_teams: dict[str, str]
    teams: frozenset[str]
    owners: dict[str, str]


@dataclass(slots=True)
class _LeadImport:
    """One import. `mailboxes` are those of rows that were created: a dry run would not find them in the store."""

    revops: RevOps
    tenant_id: str
    owner: str | None
    dry_run: bool
    mailboxes: set[str] = field(default_factory=set)

    async def take(self, rows: Sequence[LeadRow]) -> Sequence[RowOutcome | FailedRow]:
        """Take one batch: read what is known, ask policy outside any transaction, store everything in one."""
        known = await self._look(rows)
        incoming = await self._ask_policy(rows, known)
        try:
            return await self._store(rows, known, incoming, is_unseen=True)
        except UniqueViolation:  # somebody posted one of the leads just now; the second time each lead is waited for
            return await self._store(rows, known, incoming, is_unseen=False)

    async def _store(
        self, rows: Sequence[LeadRow], known: _Known, incoming: dict[str, Incoming], *, is_unseen: bool
    ) -> Sequence[RowOutcome | FailedRow]:
        ids = [row.external_id for row in rows]
        async with batch_transaction(self.revops, self.tenant_id, dry_run=self.dry_run) as tx:
            imported = await store.imported_ids(tx, kind=LEAD_KIND, external_ids=ids)
            leads = await lead_store.leads_by_mailbox(tx, [row.new.email_key for row in rows])
            storing = _Storing(self, tx, Staff(tx, fallback=known.owners.get(self.owner or "")), known.owners, leads, is_unseen)
            outcomes = [
                compare(row, imported.get(row.external_id), next_step=_OTHER_CONTENT)
                or await storing.store(row, incoming.get(row.external_id))
                for row in rows
            ]
            await store.insert_imported_ids(tx, kind=LEAD_KIND, imported=storing.imported)
        if self.dry_run:
            self.mailboxes |= storing.leads.keys()
        return outcomes

    async def _look(self, rows: Sequence[LeadRow]) -> _Known:
        async with self.revops.unit_of_work.transaction(self.tenant_id) as tx:
            sellers = await directory.people_with_any_role(tx, SELLING_ROLES)
            return _Known(
                ids=await store.imported_ids(tx, kind=LEAD_KIND, external_ids=[row.external_id for row in rows]),
                mailboxes=frozenset(await lead_store.leads_by_mailbox(tx, [row.new.email_key for row in rows])),
                account_teams=await lead_store.teams_of_accounts(tx, [row.new.account_key for row in rows]),
                teams=await lead_store.active_teams(tx),
                owners={person.handle: person.id for person in sellers},
            )

    async def _ask_policy(self, rows: Sequence[LeadRow], known: _Known) -> dict[str, Incoming]:
        """Return what policy says to each new lead, by external id; the team of a row's account counts for the rows after it."""
        teams, asked = dict(known.account_teams), set(known.mailboxes | self.mailboxes)
        incoming: dict[str, Incoming] = {}
        for row in rows:
            is_known = row.external_id in known.ids or row.new.email_key in asked
            if is_known or (row.owner is not None and row.owner not in known.owners):
                continue
            asked.add(row.new.email_key)
            found = await ask_routing(self.revops, importer(self.tenant_id), row.new, account_team=teams.get(row.new.account_key))
            routing = read_routing(found.decision)
            if routing is not None and routing.team in known.teams:
                teams[row.new.account_key] = routing.team
            incoming[row.external_id] = replace(found, external_id=row.external_id)
        return incoming


@dataclass(slots=True)
class _Storing:
    """The rows of one batch on their way into the store; `leads` are the ids of leads by mailbox."""

    run: _LeadImport
    tx: Transaction
    staff: Staff
    owners: dict[str, str]
    leads: dict[str, str]
    is_unseen: bool
    imported: list[ImportedId] = field(default_factory=list)

    async def store(self, row: LeadRow, incoming: Incoming | None) -> RowOutcome | FailedRow:
        """Promote a new lead; where the mailbox has one already, note that the external id leads to it."""
        key = row.new.email_key
        if key in self.leads or key in self.run.mailboxes:
            return self._note(row, self.leads.get(key, ""), RowOutcome.DUPLICATE)
        if row.owner is not None and row.owner not in self.owners:
            return failed(row, "owner", UnknownOwner.detail, UnknownOwner.next_step)
        if incoming is None:
            return failed(row, "email", "belongs to an earlier row that was not taken", _EARLIER_ROW)
        if read_routing(incoming.decision) is None:
            await keep_decision(self.tx, incoming.decision)
            return failed(row, None, "the routing policy did not answer", _ENGINE_FAILED)
        incoming = replace(incoming, owner_id=self.owners[row.owner] if row.owner is not None else None)
        try:
            promotion = await promote(self.tx, importer(self.tx.tenant_id), incoming, staff=self.staff, is_unseen=self.is_unseen)
        except NobodyToOwn as error:
            await keep_decision(self.tx, incoming.decision)
            return failed(row, "owner", error.detail, error.next_step)
        self.leads[key] = promotion.lead.id
        return self._note(row, promotion.lead.id, RowOutcome.CREATED if promotion.is_new else RowOutcome.DUPLICATE)

    def _note(self, row: LeadRow, lead_id: str, outcome: RowOutcome) -> RowOutcome:
        self.imported.append(ImportedId(row.external_id, lead_id, row.content_digest))
        return outcome


async def import_leads(
    revops: RevOps,
    tenant_id: str,
    rows: Iterable[LeadRow | FailedRow],
    *,
    told: Told = lambda _: None,
    owner: str | None = None,
    dry_run: bool = False,
) -> ImportReport:
    """Take leads in, in batches, each once per external id and once per mailbox; a wrong row stops no other.

    `owner` is the handle of who owns leads whose team has no account executive. With `dry_run` everything is done and nothing
    kept. Raises `UnknownOwner`, and `UnknownName` for a tenant that does not exist.
    """
    await require_tenant(revops, tenant_id)
    run = _LeadImport(revops, tenant_id, owner, dry_run)
    if owner is not None:
        async with revops.unit_of_work.transaction(tenant_id) as tx:
            if owner not in {person.handle for person in await directory.people_with_any_role(tx, SELLING_ROLES)}:
                raise UnknownOwner(f"There is no active person called {owner} who sells.")
    return await in_batches(rows, run.take, told)
