"""The pages of what only grows: a list that is never counted, and a page for each entry.

Nobody adds, changes or deletes here. Of Django's model admin only the registration, the
permissions and the addresses are used: its list counts, skips and sorts.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from techno.database.store import ORDERED_SETTINGS
from techno.portal.keyset import BadCursor, KeysetPage
from techno.portal.ledger_filters import LedgerFilters
from techno.portal.model_admin import ROWS_A_PAGE, PortalModelAdmin


def portal_rows(sql: str, parameters: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query, on the portal's connection.

    A person's question may take seconds; the pool of the hot path would hold that to be an
    outage and refuse everybody.
    """
    with connection.cursor() as cursor:
        cursor.execute(_AS_A_LIST + sql, parameters)  # one exchange, whose last result is ours
        while cursor.nextset():
            pass
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


#: For this question alone, and in one transaction with it.
_AS_A_LIST = "".join(f"SET LOCAL {name} = {value};\n" for name, value in ORDERED_SETTINGS.items())


class LedgerAdmin(PortalModelAdmin):
    """A model whose rows are only ever read.

    A subclass says which filters there are, and how a page and an entry are read.
    """

    filters: type[LedgerFilters] = LedgerFilters
    page_limit = ROWS_A_PAGE

    def read_page(self, form: LedgerFilters) -> KeysetPage[Any]:
        """Return the page that a valid form asks for. Raises :class:`BadCursor`."""
        raise NotImplementedError

    def read_entry(self, request: HttpRequest, identity: str) -> dict[str, Any] | None:
        """Return the context of an entry's page; ``None`` when there is no such entry."""
        raise NotImplementedError

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """Return the two pages, under the names that Django gives to a list and a change page."""
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(require_safe(self.changelist_view)), name=f"{name}_changelist"),
            *self.more_urls(name),
            path("<str:identity>/", wrap(require_safe(self.entry_view)), name=f"{name}_change"),
        ]

    def more_urls(self, name: str) -> list[URLPattern]:
        """Return further addresses of a subclass."""
        return []

    def require_view_permission(self, request: HttpRequest) -> None:
        """Raise ``PermissionDenied`` unless this person may see these rows."""
        if not self.has_view_permission(request):
            raise PermissionDenied

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one page of the list."""
        self.require_view_permission(request)
        form = self.filters(request.GET)
        page: KeysetPage[Any] = KeysetPage([])
        if form.is_valid():
            try:
                page = self.read_page(form)
            except BadCursor:
                form.add_error(None, _("This link to older entries is not valid any more."))
        context = {
            "title": capfirst(str(self.opts.verbose_name_plural)),
            "form": form,
            "page": page,
            "continued": bool(form.data.get("cursor")),
        }
        return self._page(request, "change_list", context)

    def entry_view(self, request: HttpRequest, identity: str) -> HttpResponse:
        """Show one entry. Raises ``Http404``."""
        self.require_view_permission(request)
        entry = self.read_entry(request, identity)
        if entry is None:
            raise Http404(f"no {self.opts.verbose_name} with this identity")
        context = {
            "title": capfirst(str(self.opts.verbose_name)),
            "list_title": capfirst(str(self.opts.verbose_name_plural)),
            **entry,
        }
        return self._page(request, "detail", context)
