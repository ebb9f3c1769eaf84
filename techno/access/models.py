"""API keys as they are kept: a public prefix, a digest, what the key may do, and its life."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from techno.governance.principal import Scope


def all_scopes() -> list[str]:
    """Return every scope there is, as stored."""
    return [scope.value for scope in Scope]


class ApiKey(models.Model):
    """One issued key. The secret is shown once, when it is made, and never kept."""

    prefix = models.CharField(_("prefix"), max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=80, editable=False)
    label = models.CharField(
        _("label"), max_length=100, help_text=_("What the key is for; shown beside each trace.")
    )
    owner = models.CharField(
        _("owner"), max_length=150, blank=True, help_text=_("Who answers for the key's use.")
    )
    purpose = models.CharField(
        _("purpose"), max_length=500, blank=True, help_text=_("Where it is used, and for what.")
    )
    #: The prefix of the first key of which this one is a version, and which version it is.
    lineage = models.CharField(_("first version"), max_length=16, blank=True, editable=False)
    version = models.PositiveIntegerField(_("version"), default=1, editable=False)
    scopes = models.JSONField(_("scopes"), default=all_scopes)
    allowed_actions = models.JSONField(
        _("allowed actions"),
        null=True,
        blank=True,
        help_text=_("Names or patterns of the actions that the key may run; empty means all."),
    )
    allowed_networks = models.JSONField(_("allowed networks"), null=True, blank=True)
    allowed_hours = models.CharField(_("allowed hours"), max_length=200, blank=True)
    rate_requests = models.PositiveIntegerField(_("requests"), null=True, blank=True)
    rate_window_s = models.PositiveIntegerField(_("in so many seconds"), default=60)
    concurrent_most = models.PositiveIntegerField(_("requests at once"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    suspended_at = models.DateTimeField(_("suspended"), null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("created by"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_by_name = models.CharField(max_length=150, blank=True, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)
    last_used_address = models.CharField(max_length=45, blank=True, editable=False)
    last_used_agent = models.CharField(max_length=256, blank=True, editable=False)

    class Meta:
        db_table = "access_api_keys"
        indexes = [models.Index(fields=["lineage", "version"], name="access_key_lineage")]
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")

    def __str__(self) -> str:
        return f"{self.label} ({self.prefix})"

    @property
    def state(self) -> str:
        """``live``, ``suspended``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= timezone.now():
            return "expired"
        return "live" if self.suspended_at is None else "suspended"
