"""Who is signed in, for those who may end that."""

from __future__ import annotations

from typing import Any

from allauth.usersessions.internal.flows.sessions import end_sessions
from allauth.usersessions.models import UserSession
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from techno.portal import fragments
from techno.portal.model_admin import PortalModelAdmin

# allauth gives its model no name that anybody translates.
UserSession._meta.verbose_name = _("session")
UserSession._meta.verbose_name_plural = _("sessions")


@admin.register(UserSession)
class SessionAdmin(PortalModelAdmin):
    """Sessions: seen and ended, never made or changed here."""

    list_display = ("who", "began", "last_seen", "address", "browser")
    list_select_related = ("user",)
    search_fields = ("user__username",)
    ordering = ("-last_seen_at",)
    actions = ("end_selected",)
    fields = ("who", "began", "last_seen", "address", "browser")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes: sessions are ended, which puts it on record."""
        return False

    def has_end_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever has the permission to delete sessions."""
        return bool(request.user.has_perm("usersessions.delete_usersession"))

    @admin.action(description=_("End selected sessions"), permissions=["end"])
    def end_selected(self, request: HttpRequest, chosen: QuerySet[UserSession]) -> None:
        """End sessions of whomever."""
        sessions = list(chosen.select_related("user"))
        end_sessions(request, sessions)
        count = len(sessions)
        told = ngettext("%d session is ended.", "%d sessions are ended.", count) % count
        self.message_user(request, told, messages.SUCCESS)

    @admin.display(description=_("person"), ordering="user__username")
    def who(self, session: UserSession) -> str:
        """Whose session it is."""
        return str(session.user.get_username())

    @admin.display(description=_("began"), ordering="created_at")
    def began(self, session: UserSession) -> SafeString:
        """Since when."""
        return fragments.moment(session.created_at)

    @admin.display(description=_("last seen"), ordering="last_seen_at")
    def last_seen(self, session: UserSession) -> SafeString:
        """When it was used last, to the minute."""
        return fragments.moment(session.last_seen_at)

    @admin.display(description=_("address"))
    def address(self, session: UserSession) -> str | SafeString:
        """From where it began."""
        return fragments.text_or_nothing(session.ip)

    @admin.display(description=_("browser"))
    def browser(self, session: UserSession) -> str | SafeString:
        """What the browser says of itself."""
        return fragments.text_or_nothing(session.user_agent)
