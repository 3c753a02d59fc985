"""Targets, what is ordered from them, and what they report back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from trustpack.kernel.json_types import JsonValue


class AdapterKind(StrEnum):
    """How a target is operated: `record` only writes down what it would do (story 1.3), `postgres` does it."""

    RECORD = "record"
    POSTGRES = "postgres"


class Mask(StrEnum):
    """How a masked column is shown to a grantee."""

    FIRST_LETTER = "first_letter"
    LAST_FOUR = "last_four"
    REDACTED = "redacted"


class RecordMode(StrEnum):
    """What a target keeps of the accesses of its grantees (ADR-0015)."""

    STATEMENTS = "statements"
    COUNTER = "counter"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Where a secret is read from at the moment of use: the variable `name` (`env`) or the file `name` (`file`)."""

    source: str
    name: str


@dataclass(frozen=True, slots=True)
class TargetTable:
    """One table whose rows of one tenant a grantee may read, through a view of ours."""

    schema: str
    name: str
    tenant_column: str
    hidden_columns: tuple[str, ...]
    masked_columns: Mapping[str, Mask]


@dataclass(frozen=True, slots=True)
class TargetDefinition:
    """A database on which access can be granted, as its YAML file describes it (`target.schema.json`)."""

    name: str
    environment: str
    adapter: AdapterKind
    dsn: SecretReference | None
    tables: tuple[TargetTable, ...]
    scopes: tuple[str, ...]
    max_duration_seconds: int
    connection_limit: int
    public_host: str | None = None
    """Where grantees connect when that is not where the service does."""
    public_port: int | None = None
    record: RecordMode = RecordMode.STATEMENTS


@dataclass(frozen=True, slots=True)
class TargetIdentity:
    """Which system stands behind a target.

    `digest` changes when another cluster, database or installation answers, or ours was altered; `system` only when it is
    another cluster or database, so that a grant can be found again after an upgrade. `facts` are for people to read.
    """

    digest: str
    system: str
    facts: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class GrantOrder:
    """What exactly is to be granted. `role_name` is opaque (`tpk_` and 32 hex digits) and never used twice.

    `identity_digest` is the identity that was approved: a target that is no longer that one refuses the order.
    """

    role_name: str
    identity_digest: str
    scope: str
    duration_seconds: int
    connection_limit: int


@dataclass(frozen=True, slots=True)
class LiveGrant:
    """A grant as the target reports it, on the target's own clock."""

    role_name: str
    role_ref: str
    granted_at: datetime
    expires_at: datetime
    remaining_seconds: float
    adopted: bool


@dataclass(frozen=True, slots=True)
class GrantMark:
    """Which grant on which system: what a later call must find again before it may say anything about it.

    `system` is the `TargetIdentity.system` that the grant was ordered on; `role_ref` is the role's id there, None as long as
    no answer has told it.
    """

    role_name: str
    role_ref: str | None
    system: str


@dataclass(frozen=True, slots=True)
class ConnectionDetails:
    """Where a grantee connects. `sslmode` is at least as strict as the service's own session; None without TLS."""

    host: str
    port: int
    database: str
    sslmode: str | None = None


@dataclass(frozen=True, slots=True)
class AccessCounts:
    """How often a grant touched the data, and what became of each touch: one view read by one statement.

    `recorded` with their text, `not_kept` counted only, `rolled_back` the rest.
    """

    touched: int
    recorded: int
    not_kept: int
    rolled_back: int


@dataclass(frozen=True, slots=True)
class AccessRecord:
    """What was done with an access, as the target recorded it. Its grantee could add to the numbers, never lower them.

    `counts` is None where the mode is `none`, and where `unavailable` says why the record could not be read.
    """

    mode: RecordMode
    counts: AccessCounts | None = None
    statements: tuple[Mapping[str, JsonValue], ...] = ()
    unavailable: str | None = None


@dataclass(frozen=True, slots=True)
class RevertOutcome:
    """The result of taking a grant back: `proof` is kept in the receipt, `blockers` name what stood in the way.

    `accesses` is there once the end is proven, where a system behind the target can tell.
    """

    proven: bool
    proof: Mapping[str, JsonValue]
    blockers: tuple[str, ...]
    accesses: AccessRecord | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A registered target: its definition, and the identity of the system that was found behind it."""

    id: str
    version: int
    status: str
    definition: TargetDefinition
    identity: TargetIdentity
