"""What goes over the wire about quotes: request bodies, strictly. How a quote is shown stands in `quote_answers`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from trustpack.capabilities.revops.api.wire import Digest
from trustpack.capabilities.revops.service.shapes import Line, TermsBody, Text
from trustpack.kernel.actor import Role
from trustpack.platform.web.routing import Body


class QuoteBody(TermsBody):
    """A new quote."""

    opportunity_id: Annotated[str, StringConstraints(pattern=r"^opp_[0-9a-f]{32}$")]
    title: Line | None = None


class QuoteApproveBody(Body):
    """A yes. `terms_digest` binds it to what was shown; `role` says which required role it is meant for."""

    terms_digest: Digest | None = None
    comment: Text | None = None
    role: Annotated[Role, Field(strict=False)] | None = None
