"""The ground of every model's pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.db import models
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString, mark_safe

from techno.portal.fields import JsonField, MomentField, MomentInput
from techno.portal.on_record import RecordsChanges
from techno.portal.visible_text import make_visible

ROWS_A_PAGE = 50


class PortalModelAdmin(RecordsChanges):
    """A model admin on our stylesheet and modules, without Django's scripts and counts."""

    list_per_page = ROWS_A_PAGE
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    formfield_overrides = {
        models.DateTimeField: {"form_class": MomentField, "widget": MomentInput},
        models.JSONField: {"form_class": JsonField, "widget": forms.Textarea},
        models.ManyToManyField: {"widget": forms.CheckboxSelectMultiple},
    }

    @property
    def media(self) -> forms.Media:
        """Nothing: every page loads the same two files."""
        return forms.Media()

    def action_checkbox(self, obj: Any) -> SafeString:
        """Return the box in front of a row, whose name for those who hear it hides nothing."""
        return mark_safe(make_visible(super().action_checkbox(obj)))  # noqa: S308 - only signs change

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Return the field without the links that open further windows."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget = field.widget.widget
        return field

    def _page(
        self, request: HttpRequest, template: str, context: dict[str, Any]
    ) -> TemplateResponse:
        """Return one of the model's own pages: ``admin/<app>/<model>/<template>.html``."""
        request.current_app = self.admin_site.name
        name = f"admin/{self.opts.app_label}/{self.opts.model_name}/{template}.html"
        shown = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, name, shown)
