"""Forms of django-allauth that say nothing when a passkey is refused: here it is on record."""

from __future__ import annotations

from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from cryptography.exceptions import InvalidSignature
from django.core.exceptions import ValidationError

from techno.people.adapters import records

#: What the libraries raise over an answer that no browser gives: without its parts, with others in
#: their places, with a signature or a key that is none.
MALFORMED = (LookupError, TypeError, ValueError, AttributeError, InvalidSignature)


class _OnRecord:
    user: Any

    def clean_credential(self) -> Authenticator:
        """Check what the browser answered; put it on record when it is refused.

        Not only what the libraries foresaw: a malformed answer is a refusal too and no fault of
        the service.
        """
        try:
            return super().clean_credential()
        except ValidationError:
            self._refused()
            raise
        except MALFORMED as error:
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


class AddPasskey(AddWebAuthnForm):
    """One more passkey."""

    def clean(self) -> dict[str, Any]:
        """Check what the browser made; what is none is refused, whatever is wrong with it."""
        try:
            cleaned: dict[str, Any] = super().clean()
        except MALFORMED as error:
            raise get_adapter().validation_error("incorrect_code") from error
        return cleaned
