"""The admin site as the operators' home."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from techno.database.current import store
from techno.portal.guard import guarded, lacks_advised_factor, routine
from techno.portal.navigation import sections
from techno.portal.panels import read_panels


class PortalSite(admin.AdminSite):
    """Django's admin site with our first page, menu and notices."""

    site_title = "Techno OS"
    site_header = "Techno OS"
    index_title = _("Overview")
    site_url = None
    enable_nav_sidebar = False
    index_template = "admin/index.html"

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        # Deleting is done one by one, where the page can say what follows from it.
        self.disable_action("delete_selected")

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Send to the one door. Raises ``PermissionDenied`` for somebody who is in already."""
        if request.user.is_authenticated and not self.has_permission(request):
            raise PermissionDenied
        back = request.GET.get(REDIRECT_FIELD_NAME) or reverse("admin:index")
        if request.user.is_authenticated:
            return HttpResponseRedirect(reverse("admin:index"))
        query = urlencode({REDIRECT_FIELD_NAME: back})
        return HttpResponseRedirect(f"{reverse('account_login')}?{query}")

    def password_change(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Send to the page of the account."""
        return HttpResponseRedirect(reverse("account_change_password"))

    @routine
    def logout(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Sign out."""
        return super().logout(request, extra_context)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Wrap a view as Django does, and ask besides for the second factor and for proof."""
        return super().admin_view(guarded(view), cacheable)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return what every page shows: the menu, and whether the audit store is away."""
        context = super().each_context(request)
        context["menu"] = sections(context["available_apps"], request.path, request.user.has_perm)
        context["advise_second_factor"] = context["has_permission"] and lacks_advised_factor(
            request
        )
        context["store_cause"] = store().circuit.cause if context["has_permission"] else ""
        return context

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Show what somebody who has just logged in needs. Nothing here is counted."""
        context = {
            **self.each_context(request),
            "title": self.index_title,
            "subtitle": None,
            "panels": read_panels(request),
            **(extra_context or {}),
        }
        request.current_app = self.name
        return TemplateResponse(request, self.index_template or "admin/index.html", context)
