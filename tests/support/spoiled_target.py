"""A target that fails some calls for a while, although nothing that was installed there differs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.support.estate import Estate
from trustpack.app.demo.target import DSN_FILE, DemoTarget
from trustpack.capabilities.operations import parse_definition_file
from trustpack.capabilities.operations.adapters.postgres.names import installed_names

REFUSES: Final = "raise exception 'no' using errcode = '23514'"
FAILS: Final = "raise exception 'out of memory' using errcode = '53200'"
SLEEPS: Final = "perform pg_sleep(2)"
EVERY_CHANGE: Final = "true"
NEW_GRANTS: Final = "scope is not null and role_oid is null"


@contextmanager
def spoiled(estate: Estate, *, what_happens: str, to_whom: str) -> Iterator[None]:
    """Have something happen to every change of a grant's row on the target for which the condition holds."""
    definition = parse_definition_file(DemoTarget(estate.settings).definition_text)
    table = f"{installed_names(definition.name).state}.grants"
    with estate.as_target_superuser() as target:
        target.execute(
            "create or replace function public.spoil() returns boolean language plpgsql as"
            f" $$ begin {what_happens}; return true; end $$".encode()
        )
        target.execute(
            f"alter table {table} add constraint spoiled check (case when {to_whom} then public.spoil() else true end)"
            " not valid".encode()
        )
        try:
            yield
        finally:
            target.execute(f"alter table {table} drop constraint spoiled".encode())


@contextmanager
def unreachable(estate: Estate) -> Iterator[None]:
    """Have nobody answer at the address where the target was."""
    secret = estate.settings.data_dir / DSN_FILE
    address = secret.read_text(encoding="utf-8")
    secret.write_text("host=127.0.0.1 port=1 dbname=nobody", encoding="utf-8")
    try:
        yield
    finally:
        secret.write_text(address, encoding="utf-8")
