"""What becomes of a key after it was issued: described, restricted, suspended, resumed, ended.

Nothing here makes a key wider; that is another key, which ``techno.access.rotate`` issues.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_noop

from techno.access.models import ApiKey
from techno.access.terms import read_terms, terms_of, widened
from techno.acts import differences, governed_command, recorded_change
from techno.gate import Governed
from techno.governance.restrictions import Rate
from techno.governance.trace import iso

DESCRIBED = ("label", "owner", "purpose")
_WIDER = gettext_noop(
    "%(term)s: this would let the key do more than it may; issue a new version of it instead."
)


def describe_key(prefix: str, *, act: Governed | None = None, **texts: str) -> ApiKey:
    """Change what people read of a key: ``label``, ``owner``, ``purpose``.

    Raises ``ApiKey.DoesNotExist`` and ``ValidationError``.
    """
    unknown = set(texts).difference(DESCRIBED)
    if unknown:
        raise TypeError(f"a key has no text {sorted(unknown)[0]}")
    with recorded_change(act or governed_command("key.describe"), "key.describe") as detail:
        key = _locked(prefix)
        before = {name: getattr(key, name) for name in texts}
        after = {name: text.strip() for name, text in texts.items()}
        if not after.get("label", key.label):
            raise ValidationError("label: a key needs a name by which people know it.")
        for name, text in after.items():
            setattr(key, name, text)
        key.full_clean(exclude=["created_by"])
        key.save(update_fields=list(after))
        detail.update({"key": key.prefix, "label": key.label, **differences(before, after)})
    return key


def restrict_key(prefix: str, *, act: Governed | None = None, **wanted: Any) -> ApiKey:
    """Tighten a key. ``wanted`` are the terms to change, as :func:`read_terms` takes them.

    Raises ``ApiKey.DoesNotExist``, and ``ValidationError`` also for what would widen the key.
    """
    with recorded_change(act or governed_command("key.restrict"), "key.restrict") as detail:
        key = _locked(prefix)
        _require_not_revoked(key)
        before = terms_of(key)
        after = read_terms(**(as_wanted(key) | wanted))
        wider = widened(before, after)
        if wider:
            raise ValidationError(_WIDER, params={"term": wider[0]})
        ApiKey.objects.filter(pk=key.pk).update(**after.columns())
        key.refresh_from_db()
        detail.update({"key": key.prefix, "label": key.label})
        detail.update(differences(before.told(), after.told()))
    return key


def as_wanted(key: ApiKey) -> dict[str, Any]:
    """Return a key's terms as the functions that change keys take them."""
    rate = Rate(key.rate_requests, key.rate_window_s) if key.rate_requests else None
    return {
        "scopes": key.scopes,
        "allowed_actions": key.allowed_actions,
        "allowed_networks": key.allowed_networks,
        "allowed_hours": key.allowed_hours,
        "rate": rate,
        "concurrent": key.concurrent_most,
        "expires_at": key.expires_at,
    }


def suspend_key(prefix: str, *, act: Governed | None = None) -> ApiKey:
    """Refuse a key until it is resumed. Raises ``ApiKey.DoesNotExist``, ``ValidationError``."""
    with recorded_change(act or governed_command("key.suspend"), "key.suspend") as detail:
        key = _locked(prefix)
        _require_not_revoked(key)
        if key.suspended_at is not None:
            raise ValidationError(gettext_noop("The key is suspended already."))
        _mark(key, detail, suspended_at=timezone.now())
    return key


def resume_key(prefix: str, *, act: Governed | None = None) -> ApiKey:
    """Accept a suspended key again. Raises ``ApiKey.DoesNotExist``, ``ValidationError``."""
    with recorded_change(act or governed_command("key.resume"), "key.resume") as detail:
        key = _locked(prefix)
        _require_not_revoked(key)
        if key.suspended_at is None:
            raise ValidationError(gettext_noop("The key is not suspended."))
        _mark(key, detail, suspended_at=None)
    return key


def revoke_key(prefix: str, *, act: Governed | None = None) -> ApiKey:
    """End a key for good; a key that was revoked before keeps its first date, and no row tells.

    Raises ``ApiKey.DoesNotExist``.
    """
    key = ApiKey.objects.get(prefix=prefix)
    if key.revoked_at is not None:
        return key
    with recorded_change(act or governed_command("key.revoke"), "key.revoke") as detail:
        key = _locked(prefix)
        if key.revoked_at is None:
            _mark(key, detail, revoked_at=timezone.now())
    return key


def _locked(prefix: str) -> ApiKey:
    """Return the key, which nobody else changes until we are done."""
    return ApiKey.objects.select_for_update().get(prefix=prefix)


def _require_not_revoked(key: ApiKey) -> None:
    if key.revoked_at is not None:
        raise ValidationError(gettext_noop("The key is revoked, which is for good."))


def _mark(key: ApiKey, detail: dict[str, Any], **moments: Any) -> None:
    """Set a moment of a key's life, and tell the state before and after."""
    before = key.state
    for name, moment in moments.items():
        setattr(key, name, moment)
    key.save(update_fields=list(moments))
    detail.update({"key": key.prefix, "label": key.label})
    detail.update(differences({"state": before}, {"state": key.state}))
    detail.update({name: iso(moment) for name, moment in moments.items() if moment is not None})
