"""API keys as they are kept: a public prefix, a digest, and what the key may do."""

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
    scopes = models.JSONField(_("scopes"), default=all_scopes)
    allowed_actions = models.JSONField(
        _("allowed actions"),
        null=True,
        blank=True,
        help_text=_("Names of the actions that the key may run; empty means all."),
    )
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
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

    class Meta:
        db_table = "access_api_keys"
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")

    def __str__(self) -> str:
        return f"{self.label} ({self.prefix})"

    @property
    def state(self) -> str:
        """``live``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= timezone.now():
            return "expired"
        return "live"
