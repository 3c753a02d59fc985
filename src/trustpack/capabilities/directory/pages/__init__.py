"""What a browser asks of the directory: signing in, confirming, and the pages about oneself."""

from __future__ import annotations

from trustpack.platform.web.pages.navigation import Place

NAVIGATION = (
    Place("sessions", "My sessions", "monitor", "/switchboard/profile/sessions"),
    Place("tokens", "API tokens", "key-round", "/switchboard/profile/tokens"),
    Place("passkeys", "How I sign in", "fingerprint", "/switchboard/profile/passkeys"),
    Place("tenant", "Change tenant", "building-2", "/switchboard/tenant"),
)
