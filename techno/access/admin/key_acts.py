"""The pages on which a key's life goes on: issued, restricted, rotated, suspended, ended.

Each adapts one service of ``techno.access`` and declares the permission that it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from techno.access.admin.key_forms import IssueKeyForm, NextVersionForm, RestrictKeyForm
from techno.access.change import restrict_key, resume_key, revoke_key, suspend_key
from techno.access.issue import IssuedKey, issue_key
from techno.access.models import ApiKey
from techno.access.rotate import next_end, rotate_key
from techno.portal.fields import in_the_readers_language
from techno.portal.model_admin import PortalModelAdmin
from techno.web.person import act_of_person

REVOKE = "revoke_selected"


@dataclass(frozen=True, slots=True)
class Confirmed:
    """An act on one key that is done once somebody has confirmed it."""

    name: str
    service: Callable[..., ApiKey]
    title: str | Promise
    meaning: str | Promise
    button: str | Promise
    done: str | Promise


SUSPEND = Confirmed(
    "suspend",
    suspend_key,
    _("Suspend this key?"),
    _("Whoever uses it is refused within seconds, until it is resumed."),
    _("Suspend"),
    _("The key is suspended."),
)
RESUME = Confirmed(
    "resume",
    resume_key,
    _("Resume this key?"),
    _("Whoever uses it is served again, within seconds."),
    _("Resume"),
    _("The key is accepted again."),
)


class KeyActs(PortalModelAdmin):
    """The addresses below a key's page, and what is done there."""

    records_itself = True  # techno.access does, for the portal and for the terminal alike

    def has_revoke_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Whoever may change keys may end them."""
        return self.has_change_permission(request, obj)

    def get_urls(self) -> list[URLPattern]:
        """Return the usual addresses and those of the buttons on a key's page."""
        views: dict[str, Callable[..., HttpResponse]] = {
            "restrict": self.restrict_view,
            "rotate": self.rotate_view,
            "suspend": partial(self.confirm_view, act=SUSPEND),
            "resume": partial(self.confirm_view, act=RESUME),
            "revoke": self.revoke_view,
        }
        own = [
            path(
                f"<int:key_id>/{name}/",
                self.admin_site.admin_view(view),
                name=f"access_apikey_{name}",
            )
            for name, view in views.items()
        ]
        return [*own, *super().get_urls()]

    def buttons_of(self, request: HttpRequest, key: ApiKey) -> list[dict[str, str]]:
        """Return what this person may do with a key in its present state, for its page."""
        if key.revoked_at is not None:
            return []
        may: list[tuple[str, str, str]] = []
        if self.has_add_permission(request):
            may.append(("rotate", gettext("Next version"), ""))
        if self.has_revoke_permission(request, key):
            may.append(("restrict", gettext("Restrict"), ""))
            pause = SUSPEND if key.suspended_at is None else RESUME
            may.append((pause.name, str(pause.button), ""))
            may.append(("revoke", gettext("Revoke"), "danger"))
        return [
            {"url": reverse(f"admin:access_apikey_{name}", args=[key.pk]), "text": text, "kind": it}
            for name, text, it in may
        ]

    # -- issuing and rotating ----------------------------------------------------------------

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
        form = IssueKeyForm(request.POST if request.method == "POST" else None, request.user)
        if form.is_valid():
            try:
                issued = issue_key(
                    **form.described(),
                    **form.terms(),
                    created_by=request.user,
                    act=act_of_person(request),
                )
            except ValidationError as error:
                form.refuse(error)
            else:
                self.log_addition(request, issued.key, [{"added": {}}])
                return self._show_once(request, issued)
        return self._page(request, "issue", {"title": gettext("Issue an API key"), "form": form})

    @method_decorator(sensitive_variables("issued", "response"))
    def rotate_view(self, request: HttpRequest, key_id: int) -> HttpResponse:
        """Ask for the terms of the next version and for the overlap; issue it, show it once."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        key = self._key(key_id)
        posted = request.POST if request.method == "POST" else None
        form = NextVersionForm(posted, request.user, key=key)
        form.initial["expires_at"] = next_end(key)
        if form.is_valid():
            try:
                issued = rotate_key(
                    key.prefix,
                    overlap_until=form.overlap_until(),
                    created_by=request.user,
                    act=act_of_person(request),
                    **form.terms(),
                )
            except ValidationError as error:
                form.refuse(error)
            else:
                self.log_addition(request, issued.key, [{"added": {}}])
                return self._show_once(request, issued)
        title = gettext("Next version of a key")
        return self._page(request, "rotate", {"title": title, "form": form, "key": key})

    def _show_once(self, request: HttpRequest, issued: IssuedKey) -> HttpResponse:
        shown = {"title": gettext("Your new key"), "key": issued.key, "secret": issued.text}
        response = self._page(request, "issued", shown)
        response["Cache-Control"] = "no-store, private"
        response.render()
        return response

    # -- changing ----------------------------------------------------------------------------

    def restrict_view(self, request: HttpRequest, key_id: int) -> HttpResponse:
        """Ask for tighter terms, and put the key under them."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        key = self._key(key_id)
        posted = request.POST if request.method == "POST" else None
        form = RestrictKeyForm(posted, request.user, key=key)
        if form.is_valid():
            try:
                restrict_key(key.prefix, act=act_of_person(request), **form.terms())
            except ValidationError as error:
                form.refuse(error)
            else:
                self.log_change(request, key, [{"changed": {"fields": form.changed_data}}])
                self.message_user(request, gettext("The key is restricted."), messages.SUCCESS)
                return self._to_page(key)
        title = gettext("Restrict a key")
        return self._page(request, "restrict", {"title": title, "form": form, "key": key})

    def confirm_view(self, request: HttpRequest, key_id: int, *, act: Confirmed) -> HttpResponse:
        """Ask whether one key shall be suspended or resumed, and do it."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        key = self._key(key_id)
        if request.POST.get("confirmed") != "yes":
            return self._page(request, "confirm", {"title": act.title, "act": act, "keys": [key]})
        try:
            act.service(key.prefix, act=act_of_person(request))
        except ValidationError as error:
            self.message_user(request, " ".join(in_the_readers_language(error)), messages.WARNING)
        else:
            self.log_change(request, key, [{"changed": {"fields": [act.name]}}])
            self.message_user(request, str(act.done), messages.SUCCESS)
        return self._to_page(key)

    def revoke_view(self, request: HttpRequest, key_id: int) -> HttpResponse:
        """Ask whether one key shall end, and end it. Raises ``Http404``."""
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        key = self._key(key_id)
        return self.revoke(request, ApiKey.objects.filter(pk=key.pk)) or self._to_page(key)

    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> HttpResponse | None:
        """Return the page that asks; once it was answered, end the keys and return ``None``."""
        live = list(keys.filter(revoked_at=None))
        if live and request.POST.get("confirmed") != "yes":
            title = ngettext("Revoke this key?", "Revoke these keys?", len(live))
            names = {"action": REVOKE, "checkbox": ACTION_CHECKBOX_NAME}
            return self._page(request, "revoke", {"title": title, "keys": live, **names})
        for key in live:
            revoke_key(key.prefix, act=act_of_person(request))
            self.log_change(request, key, [{"changed": {"fields": ["revoked"]}}])
        told = ngettext("%d key is revoked.", "%d keys are revoked.", len(live)) % len(live)
        self.message_user(request, told, messages.SUCCESS if live else messages.WARNING)
        return None

    def _key(self, key_id: int) -> ApiKey:
        key = ApiKey.objects.filter(pk=key_id).first()
        if key is None:
            raise Http404("no such key")
        return key

    def _to_page(self, key: ApiKey) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("admin:access_apikey_change", args=[key.pk]))
