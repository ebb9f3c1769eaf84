"""Django's groups, on our pages: the release's roles, and groups of one's own."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from techno.people.admin.people import within_group
from techno.people.admin.permitting import Permitting, told_permission
from techno.people.models import GroupRule
from techno.people.roles import BY_NAME
from techno.portal import fragments

admin.site.unregister(Group)


class GroupForm(forms.ModelForm):  # type: ignore[type-arg]
    """A group, and what it asks of its members."""

    requires_mfa = forms.BooleanField(
        label=_("Members need a second factor"),
        required=False,
        help_text=_("Nobody in this group gets in without a second factor."),
    )

    class Meta:
        model = Group
        fields = ("name", "permissions")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "requires_mfa" in self.fields:
            rule = GroupRule.objects.filter(group=self.instance).first()
            self.fields["requires_mfa"].initial = rule is not None and rule.requires_mfa


@admin.register(Group)
class GroupAdmin(Permitting, DjangoGroupAdmin):  # type: ignore[misc]
    """Groups. The release's roles stay as the release has them, save whether they ask more."""

    form = GroupForm
    list_display = ("name", "purpose", "needs_factor")
    list_select_related = ("rule",)

    def get_readonly_fields(self, request: HttpRequest, obj: Group | None = None) -> Any:
        """What the release says of its roles is not changed here."""
        return ("name", "allows") if self._is_fixed(request, obj) else ()

    def get_fieldsets(self, request: HttpRequest, obj: Group | None = None) -> Any:
        """Permissions that cannot be changed are told as those that can are."""
        last = "allows" if self._is_fixed(request, obj) else "permissions"
        return ((None, {"fields": ("name", "requires_mfa", last)}),)

    def _is_fixed(self, request: HttpRequest, group: Group | None) -> bool:
        if group is None:
            return False
        return of_release(group) or not self.has_change_permission(request, group)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Whoever may change groups, and has all that this one gives."""
        if not super().has_change_permission(request, obj):
            return False
        return obj is None or within_group(request.user, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """The release's roles would come back: they are not deleted."""
        if obj is not None and of_release(obj):
            return False
        return super().has_delete_permission(request, obj)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save permissions, and what the group asks of its members."""
        super().save_related(request, form, formsets, change)
        GroupRule.objects.update_or_create(
            group=form.instance,
            defaults={"requires_mfa": form.cleaned_data.get("requires_mfa", False)},
        )

    def _told(self, obj: Any) -> dict[str, Any]:
        rule = GroupRule.objects.filter(group=obj).first()
        return {**super()._told(obj), "requires_mfa": rule is not None and rule.requires_mfa}

    @admin.display(description=_("what for"))
    def purpose(self, group: Group) -> str | SafeString:
        """What one of the release's roles is for."""
        role = BY_NAME.get(group.name)
        return fragments.text_or_nothing(str(role.purpose) if role else "")

    @admin.display(description=_("permissions"))
    def allows(self, group: Group) -> SafeString:
        """The group's permissions, one a line."""
        found = group.permissions.select_related("content_type").order_by(
            "content_type__app_label", "content_type__model", "codename"
        )
        return fragments.lines(*(told_permission(one) for one in found))

    @admin.display(description=_("second factor"), boolean=True)
    def needs_factor(self, group: Group) -> bool:
        """Whether members need a second factor."""
        rule = getattr(group, "rule", None)
        return rule is not None and rule.requires_mfa


def of_release(group: Group) -> bool:
    """Whether a group belongs to the release."""
    rule = GroupRule.objects.filter(group=group).first()
    return rule is not None and rule.of_release
