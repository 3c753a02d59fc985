"""The mechanics of pages: templates, headers, static files, forms, errors. No word of any domain (ADR-0025)."""

from trustpack.platform.web.pages.forms import Form, FormReading
from trustpack.platform.web.pages.navigation import Find, Found, Place, Workspace
from trustpack.platform.web.pages.page import Page, ThisPage
from trustpack.platform.web.pages.templates import called
from trustpack.platform.web.pages.viewer import TenantChoice, Viewer, ViewerSource

__all__ = [
    "Find",
    "Form",
    "FormReading",
    "Found",
    "Page",
    "Place",
    "TenantChoice",
    "ThisPage",
    "Viewer",
    "ViewerSource",
    "Workspace",
    "called",
]
