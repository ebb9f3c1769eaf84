"""Forms of django-allauth that say nothing when a passkey is refused: here it is on record."""

from __future__ import annotations

from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import (
    AuthenticateWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from cryptography.exceptions import InvalidSignature
from django.core.exceptions import ValidationError

from techno.people.adapters import records


class _OnRecord:
    user: Any

    def clean_credential(self) -> Authenticator:
        """Check what the browser answered; put it on record when it is refused.

        Not only what the libraries foresaw: an answer without its parts, or with a signature
        that is none, is a refusal too and no fault of the service.
        """
        try:
            return super().clean_credential()
        except ValidationError:
            self._refused()
            raise
        except (LookupError, TypeError, ValueError, AttributeError, InvalidSignature) as error:
            self._refused()
            raise get_adapter().validation_error("incorrect_code") from error

    def _refused(self) -> None:
        request = records.current_request()
        if request is not None:
            name = self.user.get_username() if self.user is not None else ""
            records.sign_in_refused(request, name, "second factor")


class AuthenticatePasskey(_OnRecord, AuthenticateWebAuthnForm):
    """The second factor at the door."""


class LoginPasskey(_OnRecord, LoginWebAuthnForm):
    """A passkey in place of name and password."""


class ReauthenticatePasskey(_OnRecord, ReauthenticateWebAuthnForm):
    """The second factor once more."""
