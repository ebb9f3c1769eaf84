"""Pages that were refused to a signed-in person are on record, without filling the log."""

from __future__ import annotations

from django.core.cache import cache
from django.db import DatabaseError
from django.http import HttpRequest

from techno.gate import conclude
from techno.governance.reason_codes import ReasonCode
from techno.governance.verdict import refuse
from techno.web.person import act_of_person

ACTION = "page.open"
#: One row a person, page and so many seconds: whoever reloads a refused page is told once.
QUIET_S = 60
_VERDICT = refuse(ReasonCode.G2_SCOPE_DENIED, message="This person may not have that page.")


def record_refused_page(request: HttpRequest) -> None:
    """Record that a page, or a change by its form, was refused to whoever is signed in.

    What is counted together is the route: a person who goes through the numbers of things that
    are not theirs leaves one row with the first of them. Raises ``AuditUnavailable``.
    """
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return
    route = request.resolver_match.view_name if request.resolver_match else ""
    if _was_told(f"people:forbidden:{user.pk}:{route}"):
        return
    governed = act_of_person(request)
    governed.action = ACTION
    governed.detail.update({"page": route, "further_within_s": QUIET_S})
    conclude(governed, _VERDICT, http_status=403)


def _was_told(name: str) -> bool:
    """Whether a row was written lately; when nobody can remember, one more is written."""
    try:
        return not cache.add(name, True, QUIET_S)
    except DatabaseError:
        return False
