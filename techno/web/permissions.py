"""DRF's permission hook, asking the gate."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission

from techno.gate import decide_scope, unavailable
from techno.web.exceptions import Refused


class ScopeRequired(BasePermission):
    """The view names ``required_scope``; a view that forgot to is refused to everybody."""

    def has_permission(self, request: Any, view: Any) -> bool:
        """Return ``True`` or raise :class:`Refused` with the gate's verdict."""
        verdict = decide_scope(request.user, view.required_scope)
        if not verdict.approved:
            raise Refused(verdict)
        return True


class AnyLiveKey(BasePermission):
    """For what every key may ask, whatever it was issued for: what it is itself."""

    def has_permission(self, request: Any, view: Any) -> bool:
        """Return ``True`` or raise :class:`Refused`: a provisional caller is not known enough."""
        if request.user.provisional:
            raise Refused(unavailable())
        return True
