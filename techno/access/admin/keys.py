"""API keys: what is known of them. What is done with them stands in ``key_acts``."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from techno.access.admin.key_acts import REVOKE, KeyActs
from techno.access.admit import DAY_S, WARNING_DAYS
from techno.access.change import DESCRIBED, describe_key
from techno.access.models import ApiKey
from techno.access.terms import terms_of
from techno.portal import fragments
from techno.portal.panels import Panel, offer_panel
from techno.portal.references import Kind, offer
from techno.web.person import act_of_person

VERSIONS_SHOWN = 20
ENDING_SHOWN = 20
#: The days before a key's end at which its warning becomes more urgent.
STAGES = (1, 7, WARNING_DAYS)
_MAY = ("scope_list", "action_list", "network_list", "hour_list", "rate", "concurrent_most")
_LIFE = ("state", "public_prefix", "which_version", "created", "expires", "ended", "used")
_STATES = {
    "live": _("live"),
    "suspended": _("suspended"),
    "expired": _("expired"),
    "revoked": _("revoked"),
}


class StateFilter(admin.SimpleListFilter):
    """Live, suspended, expired or revoked."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the states."""
        return list(_STATES.items())

    def queryset(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        """Return the keys in the chosen state."""
        ended = Q(expires_at__lte=timezone.now())
        narrowed = {
            "live": keys.filter(revoked_at=None, suspended_at=None).exclude(ended),
            "suspended": keys.filter(revoked_at=None, suspended_at__isnull=False).exclude(ended),
            "expired": keys.filter(ended, revoked_at=None),
            "revoked": keys.exclude(revoked_at=None),
        }
        return narrowed.get(self.value() or "", keys)


def ending_stage(key: ApiKey) -> int | None:
    """Return which of ``STAGES`` a live key has come to before its end, ``None`` for none."""
    if key.expires_at is None or key.state != "live":
        return None
    days = math.ceil((key.expires_at - timezone.now()).total_seconds() / DAY_S)
    return next((stage for stage in STAGES if days <= stage), None)


def ending_warning(key: ApiKey) -> str | SafeString:
    """Return the warning of a key that ends soon, empty for others."""
    stage = ending_stage(key)
    if stage is None:
        return ""
    told = ngettext("ends within %d day", "ends within %d days", stage) % stage
    return fragments.state_badge("blocked" if stage == STAGES[0] else "warning", told)


@admin.register(ApiKey)
class ApiKeyAdmin(KeyActs):
    """API keys. What a key may do only ever gets less: another version is issued for more."""

    list_display = ("name", "public_prefix", "state", "scope_list", "answerable", "expires", "used")
    list_filter = (StateFilter,)
    search_fields = ("label", "prefix", "owner")
    ordering = ("-created_at",)
    actions = (REVOKE,)
    fieldsets = (
        (None, {"fields": DESCRIBED}),
        (_("What it may do"), {"fields": _MAY}),
        (_("Life"), {"fields": _LIFE}),
    )

    # -- who may -----------------------------------------------------------------------------

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Nobody: traces name the key for ever. Revoke it."""
        return False

    def get_readonly_fields(
        self, request: HttpRequest, obj: ApiKey | None = None
    ) -> tuple[str, ...]:
        """Everything but the texts for people."""
        return (*_MAY, *_LIFE)

    # -- what is shown -----------------------------------------------------------------------

    @admin.display(description=_("label"), ordering="label")
    def name(self, key: ApiKey) -> str | SafeString:
        """What the key is for."""
        return fragments.text_or_nothing(key.label)

    @admin.display(description=_("owner"), ordering="owner")
    def answerable(self, key: ApiKey) -> str | SafeString:
        """Who answers for the key's use."""
        return fragments.text_or_nothing(key.owner)

    @admin.display(description=_("prefix"), ordering="prefix")
    def public_prefix(self, key: ApiKey) -> SafeString:
        """The public part, by which traces name the key."""
        return fragments.copyable(key.prefix)

    @admin.display(description=_("state"))
    def state(self, key: ApiKey) -> SafeString:
        """Live, suspended, expired or revoked."""
        return fragments.state_badge(key.state, str(_STATES[key.state]))

    @admin.display(description=_("scopes"))
    def scope_list(self, key: ApiKey) -> str:
        """The scopes."""
        return ", ".join(key.scopes)

    @admin.display(description=_("allowed actions"))
    def action_list(self, key: ApiKey) -> str:
        """The allowed actions."""
        return gettext("all") if key.allowed_actions is None else ", ".join(key.allowed_actions)

    @admin.display(description=_("expires"), ordering="expires_at")
    def expires(self, key: ApiKey) -> str | SafeString:
        """When the key ends by itself, with a warning from two weeks before on."""
        if key.expires_at is None:
            return gettext("never")
        warning = ending_warning(key)
        return format_html("{} {}", fragments.moment(key.expires_at), warning)

    @admin.display(description=_("allowed networks"))
    def network_list(self, key: ApiKey) -> str:
        """The allowed networks."""
        return ", ".join(key.allowed_networks or ()) or gettext("from anywhere")

    @admin.display(description=_("allowed hours"))
    def hour_list(self, key: ApiKey) -> str:
        """The allowed hours."""
        return key.allowed_hours or gettext("at all times")

    @admin.display(description=_("rate"))
    def rate(self, key: ApiKey) -> str | SafeString:
        """How often it may ask."""
        return fragments.text_or_nothing(terms_of(key).rate or "")

    @admin.display(description=_("version"))
    def which_version(self, key: ApiKey) -> str:
        """Which version of the key this is."""
        return str(key.version)

    @admin.display(description=_("revoked"), ordering="revoked_at")
    def ended(self, key: ApiKey) -> SafeString:
        """When the key was ended."""
        return fragments.moment(key.revoked_at)

    @admin.display(description=_("last used"), ordering="last_used_at")
    def used(self, key: ApiKey) -> SafeString:
        """When the key was used last, to the minute, and from where."""
        if not key.last_used_address:
            return fragments.moment(key.last_used_at)
        where = fragments.text_or_nothing(f"{key.last_used_address} {key.last_used_agent}".strip())
        return format_html("{} {}", fragments.moment(key.last_used_at), where)

    @admin.display(description=_("created"), ordering="created_at")
    def created(self, key: ApiKey) -> SafeString:
        """When the key was issued, and by whom."""
        return fragments.moment_by(key.created_at, key.created_by_name)

    # -- what is done ------------------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show a key, with the buttons of what may be done with it."""
        key = self.get_object(request, object_id)
        buttons = self.buttons_of(request, key) if key is not None else []
        versions = self._versions(key) if key is not None else []
        shown = {"key_buttons": buttons, "key_versions": versions, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, shown)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """Keep the texts for people, as an act with its row."""
        texts = {name: form.cleaned_data[name] for name in form.changed_data if name in DESCRIBED}
        if texts:
            describe_key(obj.prefix, act=act_of_person(request), **texts)

    @admin.action(description=_("Revoke selected keys"), permissions=["revoke"])
    def revoke_selected(
        self, request: HttpRequest, chosen: QuerySet[ApiKey]
    ) -> HttpResponse | None:
        """Ask whether the keys shall end, and end them."""
        return self.revoke(request, chosen)

    def _versions(self, key: ApiKey) -> list[ApiKey]:
        """Return the other versions of a key, the newest first."""
        if not key.lineage:
            return []
        others = ApiKey.objects.filter(lineage=key.lineage).exclude(pk=key.pk)
        return list(others.order_by("-version")[:VERSIONS_SHOWN])


def _ending_soon() -> dict[str, Any]:
    """Return the live keys that end within two weeks, for the first page."""
    now = timezone.now()
    last = now + timedelta(days=WARNING_DAYS)
    ending = ApiKey.objects.filter(
        revoked_at=None, suspended_at=None, expires_at__gt=now, expires_at__lte=last
    ).order_by("expires_at")[:ENDING_SHOWN]
    return {"keys": [(key, ending_stage(key)) for key in ending]}


offer_panel(Panel(40, ApiKey, "admin/access/ending_panel.html", _ending_soon))
offer(Kind.KEY, ApiKey, by="prefix", named="label")
