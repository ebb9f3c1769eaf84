"""What a key is told of itself, as the OpenAPI document describes it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from techno.web.schema import Envelope, responses_of


class KeyRate(serializers.Serializer[Any]):
    """How often a key may ask, and how often it still may now."""

    requests = serializers.IntegerField()
    window_s = serializers.IntegerField()
    remaining = serializers.IntegerField()


class WhoamiData(serializers.Serializer[Any]):
    """What a key is and may do."""

    prefix = serializers.CharField()
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]
    scopes = serializers.ListField(child=serializers.CharField())
    allowed_actions = serializers.ListField(child=serializers.CharField(), allow_null=True)
    allowed_networks = serializers.ListField(child=serializers.CharField(), allow_null=True)
    allowed_hours = serializers.CharField(allow_null=True)
    requests_at_once = serializers.IntegerField(allow_null=True)
    rate = KeyRate(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    expires_in_s = serializers.IntegerField(allow_null=True)


class WhoamiAnswer(Envelope):
    """The asking key."""

    data = WhoamiData()  # type: ignore[assignment]


WHOAMI_RESPONSES = responses_of(WhoamiAnswer)
