"""What every page of the portal asks of its visitor besides permissions: the one seam for it.

The rule is the strict one, and what is exempt says so: every request that changes something
needs a recent proof of who sends it, and so does every form that adds something.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse

from techno.people import proof
from techno.people.second_factor import insists, lacks_second_factor

View = Callable[..., Any]
V = TypeVar("V", bound=Callable[..., Any])
_ROUTINE = "asks_for_no_proof"


def routine(view: V) -> V:
    """Exempt a view: what it does is routine, or must not wait (stopping a run)."""
    setattr(view, _ROUTINE, True)
    return view


def guarded(view: View) -> View:
    """Return ``view`` for those who have the second factor that they need, and proof."""
    asks = not is_routine(view)
    adds = getattr(inspect.unwrap(view), "__name__", "") == "add_view"

    @wraps(view)
    def asked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if insists() and lacks_second_factor(request):
            return HttpResponseRedirect(reverse("mfa_index"))
        if asks and request.method not in proof.SAFE_METHODS and not proof.has_proof(request):
            return proof.ask_for_proof(request)
        if adds and not proof.has_proof(request, left_s=proof.TO_FILL_IN_S):
            return proof.ask_for_proof(request)
        response: HttpResponseBase = view(request, *args, **kwargs)
        return response

    return asked


def is_routine(view: View) -> bool:
    """Whether a view was exempted by :func:`routine`."""
    return bool(getattr(view, _ROUTINE, False))


def lacks_advised_factor(request: HttpRequest) -> bool:
    """Whether the page should advise to set up a second factor, because nothing insists."""
    return not insists() and lacks_second_factor(request)
