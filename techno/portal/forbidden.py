"""Pages that were refused to a signed-in person are on record, without filling the log."""

from __future__ import annotations

from django.http import HttpRequest

from techno.access.refused_minutes import refuse_together
from techno.governance.reason_codes import ReasonCode
from techno.governance.verdict import refuse
from techno.web.person import act_of_person

ACTION = "page.open"
_VERDICT = refuse(ReasonCode.G2_SCOPE_DENIED, message="This person may not have that page.")


def record_refused_page(request: HttpRequest) -> None:
    """Record that a page, or a change by its form, was refused to whoever is signed in.

    One row a person, page and minute; further ones are counted, and a later row tells how many.
    What is counted together is the route: a person who goes through the numbers of things that
    are not theirs leaves one row with the first of them. Raises ``AuditUnavailable``.
    """
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return
    route = request.resolver_match.view_name if request.resolver_match else ""
    governed = act_of_person(request)
    governed.action = ACTION
    governed.detail = {"page": route}
    refuse_together(governed, _VERDICT, f"{ACTION}|{user.pk}|{route}")
