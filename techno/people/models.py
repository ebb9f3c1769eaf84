"""What is kept of people beside Django's users and groups."""

from __future__ import annotations

import hashlib

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import models
from django.utils.translation import gettext_lazy as _


class GroupRule(models.Model):
    """What a group asks of its members, and whether it belongs to the release."""

    group = models.OneToOneField(
        Group, on_delete=models.CASCADE, primary_key=True, related_name="rule"
    )
    requires_mfa = models.BooleanField(
        _("members need a second factor"),
        default=False,
        help_text=_("Nobody in this group gets in without a second factor."),
    )
    of_release = models.BooleanField(_("comes with the release"), default=False, editable=False)

    class Meta:
        db_table = "people_group_rules"
        verbose_name = _("rule of a group")
        verbose_name_plural = _("rules of groups")
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.group)


class FirstPassword(models.Model):
    """The password that was printed at the first start, as a digest of what Django keeps of it.

    It tells for as long as that password is the person's; any change makes another digest.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    digest = models.CharField(max_length=64)

    class Meta:
        db_table = "people_first_passwords"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.user)

    @classmethod
    def note(cls, user: User) -> None:
        """Remember that ``user`` has the password that was printed."""
        cls.objects.update_or_create(user=user, defaults={"digest": _digest(user.password)})

    @property
    def still_used(self) -> bool:
        """Whether the person has that password still."""
        return self.digest == _digest(self.user.password)


def _digest(encoded_password: str) -> str:
    return hashlib.sha256(encoded_password.encode()).hexdigest()
