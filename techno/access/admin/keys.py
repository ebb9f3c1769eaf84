"""API keys: issued here with their secret shown once, revoked here, never edited into another."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from techno.access.admin.key_forms import IssueKeyForm
from techno.access.change import revoke_key
from techno.access.models import ApiKey
from techno.portal import fragments
from techno.portal.model_admin import PortalModelAdmin
from techno.portal.references import Kind, offer

REVOKE = "revoke_selected"
_LIFE = ("state", "public_prefix", "created", "expires", "ended", "used")
_STATES = {"live": _("live"), "expired": _("expired"), "revoked": _("revoked")}


class StateFilter(admin.SimpleListFilter):
    """Live, expired or revoked."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the states."""
        return list(_STATES.items())

    def queryset(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        """Return the keys in the chosen state."""
        ended = Q(expires_at__lte=timezone.now())
        narrowed = {
            "live": keys.filter(revoked_at=None).exclude(ended),
            "expired": keys.filter(ended, revoked_at=None),
            "revoked": keys.exclude(revoked_at=None),
        }
        return narrowed.get(self.value() or "", keys)


@admin.register(ApiKey)
class ApiKeyAdmin(PortalModelAdmin):
    """API keys. What a key may do never changes: another key is issued for that."""

    list_display = ("name", "public_prefix", "state", "scope_list", "answerable", "expires", "used")
    list_filter = (StateFilter,)
    search_fields = ("label", "prefix", "owner")
    ordering = ("-created_at",)
    actions = (REVOKE,)
    fieldsets = (
        (None, {"fields": ("label", "owner")}),
        (_("What it may do"), {"fields": ("scope_list", "action_list")}),
        (_("Life"), {"fields": _LIFE}),
    )

    # -- who may -----------------------------------------------------------------------------

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Nobody: traces name the key for ever. Revoke it."""
        return False

    def has_revoke_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Whoever may change keys may end them."""
        return self.has_change_permission(request, obj)

    def get_readonly_fields(
        self, request: HttpRequest, obj: ApiKey | None = None
    ) -> tuple[str, ...]:
        """Everything but the two texts for people."""
        return ("scope_list", "action_list", *_LIFE)

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
        """Live, expired or revoked."""
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
        """When the key ends by itself."""
        return fragments.moment(key.expires_at) if key.expires_at else gettext("never")

    @admin.display(description=_("revoked"), ordering="revoked_at")
    def ended(self, key: ApiKey) -> SafeString:
        """When the key was ended."""
        return fragments.moment(key.revoked_at)

    @admin.display(description=_("last used"), ordering="last_used_at")
    def used(self, key: ApiKey) -> SafeString:
        """When the key was used last, to the minute."""
        return fragments.moment(key.last_used_at)

    @admin.display(description=_("created"), ordering="created_at")
    def created(self, key: ApiKey) -> SafeString:
        """When the key was issued, and by whom."""
        return fragments.moment_by(key.created_at, key.created_by_name)

    # -- issuing -----------------------------------------------------------------------------

    @method_decorator(sensitive_variables("issued", "response"))
    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Ask what the key shall be; issue it and show its secret, in this answer and never again.

        The secret goes nowhere but into the answer to the POST: no redirect could carry it
        without keeping it somewhere.
        """
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = IssueKeyForm(request.POST if request.method == "POST" else None)
        issued = form.issue(request.user) if form.is_valid() else None
        if issued is None:
            title = gettext("Issue an API key")
            return self._page(request, "issue", {"title": title, "form": form})
        self.log_addition(request, issued.key, [{"added": {}}])
        title = gettext("Your new key")
        response = self._page(
            request, "issued", {"title": title, "key": issued.key, "secret": issued.text}
        )
        response["Cache-Control"] = "no-store, private"
        response.render()
        return response

    # -- revoking ----------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        """Return the usual addresses and the one of the button on a key's page."""
        view = self.admin_site.admin_view(self.revoke_view)
        return [
            path("<int:key_id>/revoke/", view, name="access_apikey_revoke"),
            *super().get_urls(),
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show a key, with its button while there is something to end."""
        key = self.get_object(request, object_id)
        may = key is not None and key.revoked_at is None and self.has_revoke_permission(request)
        url = reverse("admin:access_apikey_revoke", args=[key.pk]) if key and may else ""
        return super().change_view(
            request, object_id, form_url, {"revoke_url": url, **(extra_context or {})}
        )

    def revoke_view(self, request: HttpRequest, key_id: int) -> HttpResponse:
        """Ask whether one key shall end, and end it. Raises ``Http404``."""
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        keys = ApiKey.objects.filter(pk=key_id)
        if not keys:
            raise Http404("no such key")
        return self._revoke(request, keys) or HttpResponseRedirect(
            reverse("admin:access_apikey_change", args=[key_id])
        )

    @admin.action(description=_("Revoke selected keys"), permissions=["revoke"])
    def revoke_selected(
        self, request: HttpRequest, chosen: QuerySet[ApiKey]
    ) -> HttpResponse | None:
        """Ask whether the keys shall end, and end them."""
        return self._revoke(request, chosen)

    def _revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> HttpResponse | None:
        """Return the page that asks; once it was answered, end the keys and return ``None``."""
        live = list(keys.filter(revoked_at=None))
        if live and request.POST.get("confirmed") != "yes":
            title = ngettext("Revoke this key?", "Revoke these keys?", len(live))
            names = {"action": REVOKE, "checkbox": ACTION_CHECKBOX_NAME}
            return self._page(request, "revoke", {"title": title, "keys": live, **names})
        for key in live:
            revoke_key(key.prefix)
            self.log_change(request, key, [{"changed": {"fields": ["revoked"]}}])
        told = ngettext("%d key is revoked.", "%d keys are revoked.", len(live)) % len(live)
        self.message_user(request, told, messages.SUCCESS if live else messages.WARNING)
        return None

    def _page(
        self, request: HttpRequest, template: str, context: dict[str, Any]
    ) -> TemplateResponse:
        request.current_app = self.admin_site.name
        return TemplateResponse(
            request,
            f"admin/access/apikey/{template}.html",
            {**self.admin_site.each_context(request), "opts": self.opts, **context},
        )


offer(Kind.KEY, ApiKey, by="prefix", named="label")
