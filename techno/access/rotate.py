"""The next version of a key: a new secret, the same terms or others, and an overlap.

The new version has a prefix of its own, so that traces tell which of the two was used; its
lineage and version say what it follows. The old one goes on until the overlap ends, and then
expires like any key.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_noop

from techno.access.change import as_wanted
from techno.access.issue import IssuedKey, ending_in_time, keep_new_key, told_of
from techno.access.models import ApiKey
from techno.access.reach import check_reach
from techno.access.terms import longest_end, read_terms, terms_of, widened
from techno.acts import governed_command, recorded_change
from techno.gate import Governed
from techno.governance.trace import iso


def rotate_key(
    prefix: str,
    *,
    overlap_until: datetime | None = None,
    created_by: Any = None,
    act: Governed | None = None,
    **wanted: Any,
) -> IssuedKey:
    """Issue the next version of a key; the old one ends at ``overlap_until``, or now.

    ``wanted`` are terms in place of the old ones, as ``read_terms`` takes them: wider ones too,
    for this is issuing and needs what issuing needs. Without an end of its own the new version
    lives as long as the old one was meant to. Raises ``ApiKey.DoesNotExist`` and
    ``ValidationError``.
    """
    act = act or governed_command("key.rotate")
    with recorded_change(act, "key.rotate") as detail:
        old = ApiKey.objects.select_for_update().get(prefix=prefix)
        _require_newest(old)
        before = terms_of(old)
        asked = as_wanted(old) | {"expires_at": next_end(old)} | wanted
        terms = ending_in_time(read_terms(**asked))
        check_reach(act, created_by, terms)
        described = {"label": old.label, "owner": old.owner, "purpose": old.purpose}
        issued = keep_new_key(terms, described, created_by, after=old)
        ends = _end_of_old(old, overlap_until)
        ApiKey.objects.filter(pk=old.pk).update(expires_at=ends)
        detail.update(told_of(issued.key, terms))
        detail.update({f"before.{name}": it for name, it in before.told().items() if it})
        detail.update({"old_key": old.prefix, "old_key_until": iso(ends)})
        detail["widened"] = " ".join(widened(before, terms)) or None
    return issued


def next_end(old: ApiKey) -> datetime:
    """Return when the next version of ``old`` ends unless somebody says otherwise."""
    if old.expires_at is None:
        return longest_end()
    meant = max(old.expires_at - old.created_at, timedelta(days=1))
    return min(timezone.now() + meant, longest_end())


def _require_newest(old: ApiKey) -> None:
    if old.revoked_at is not None:
        raise ValidationError(gettext_noop("The key is revoked; issue another one."))
    if old.lineage and ApiKey.objects.filter(lineage=old.lineage, version__gt=old.version).exists():
        raise ValidationError(gettext_noop("The key has a newer version already; rotate that one."))


def _end_of_old(old: ApiKey, overlap_until: datetime | None) -> datetime:
    """Return when the old version ends: never later than it would have anyway."""
    now = timezone.now()
    if overlap_until is not None and overlap_until < now:
        raise ValidationError("overlap: the time must lie in the future.")
    ends = overlap_until or now
    return ends if old.expires_at is None else min(ends, old.expires_at)
