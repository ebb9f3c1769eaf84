"""The portal of a running service, as a person comes to it."""

from __future__ import annotations

import re

import httpx

from tests.service import Service

TIMEOUT_S = 30.0


def first_password(service: Service) -> str:
    """Return the password that the service printed at its first start."""
    found = re.search(r"Password +(\S+)", service.full_output)
    assert found is not None, service.full_output
    return found.group(1)


def sign_in(service: Service) -> httpx.Client:
    """Return a browser in which the first person is signed in; close it."""
    browser = httpx.Client(base_url=service.url, timeout=TIMEOUT_S)
    browser.get("/account/login/")
    form = {
        "login": "admin",
        "password": first_password(service),
        "csrfmiddlewaretoken": browser.cookies["csrftoken"],
    }
    assert browser.post("/account/login/?next=/admin/", data=form).status_code == 302
    return browser
