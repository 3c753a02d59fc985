"""What our roles and schemas are called on a target. Roles are shared by a whole cluster, so each name carries the target's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InstalledNames:
    """The roles and schemas of one target. Two targets never share one: the kind always stands last."""

    reader: str
    """NOLOGIN group of the temporary roles: USAGE and SELECT on the views, nothing else."""
    owner: str
    """Owns the views; may read the chosen columns of the chosen tables."""
    provisioner: str
    """CREATEROLE; owns the private state and the functions; reads no table of the target's."""
    service: str
    """LOGIN of trustpack: may execute the functions of `api`, nothing else."""
    killer: str
    """Holds pg_signal_backend; exists after an installation by a superuser only."""
    views: str
    state: str
    api: str


def installed_names(target_name: str) -> InstalledNames:
    """Return the names that belong to a target (at most 40 characters of a-z, 0-9 and `-`): none exceeds 63 bytes."""
    stem = f"trustpack_{target_name.replace('-', '_')}"
    return InstalledNames(
        reader=f"{stem}_reader",
        owner=f"{stem}_owner",
        provisioner=f"{stem}_provisioner",
        service=f"{stem}_service",
        killer=f"{stem}_killer",
        views=f"{stem}_views",
        state=f"{stem}_state",
        api=f"{stem}_api",
    )
