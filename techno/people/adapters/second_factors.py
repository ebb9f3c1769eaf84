"""Second factors as django-allauth keeps them: their secrets encrypted."""

from __future__ import annotations

import base64
from typing import Any

from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils.safestring import mark_safe

_PURPOSE = b"techno second factors v1"


def _cipher() -> MultiFernet:
    """Return the cipher of ``SECRET_KEY``, which also opens what older keys closed."""
    texts = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet([Fernet(_key(text)) for text in texts])


def _key(text: str | bytes) -> bytes:
    secret = text.encode() if isinstance(text, str) else text
    derived = HKDF(SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret)
    return base64.urlsafe_b64encode(derived)


class SecondFactorAdapter(DefaultMFAAdapter):
    """Encrypts what could be used to make codes."""

    def encrypt(self, text: str) -> str:
        """Return ``text`` as it may lie in the database."""
        return _cipher().encrypt(text.encode()).decode("ascii")

    def decrypt(self, encrypted_text: str) -> str:
        """Return what :meth:`encrypt` was given. Raises ``InvalidToken`` for other keys' work."""
        return _cipher().decrypt(encrypted_text.encode()).decode()

    def build_totp_svg(self, url: str) -> str:
        """Return the picture of ``url`` to stand in a page: without the head of a file."""
        drawing = str(super().build_totp_svg(url)).partition("?>")[2]
        return mark_safe(drawing)  # noqa: S308 - made here, of nothing but paths

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """Send nothing: there is no mail here, and the log tells."""
