"""The addresses under ``/account/``: those views of django-allauth that are used, and no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as passkeys
from allauth.socialaccount import views as provider
from allauth.socialaccount.providers.openid_connect import views as openid
from allauth.usersessions import views as sessions
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.urls import URLPattern, path
from django.views.generic import RedirectView

from techno.people import account_views

View = Callable[..., Any]


def recorded(view: View) -> View:
    """Let what a view changes hold only once its audit row is durable."""
    return transaction.atomic(login_required(view))


urlpatterns: list[URLPattern] = [
    path("", login_required(account_views.overview), name="account_overview"),
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("password/", recorded(account.password_change), name="account_change_password"),
    # Who has no password here, because they come from a provider, gets none.
    path(
        "password/none/",
        RedirectView.as_view(pattern_name="account_overview"),
        name="account_set_password",
    ),
    path("sessions/", login_required(sessions.list_usersessions), name="usersessions_list"),
    path("sessions/<int:session_id>/end/", account_views.end_session, name="account_end_session"),
    # The second factor: at sign-in, when it is asked for again, and setting it up.
    path("2fa/", mfa.index, name="mfa_index"),
    path("2fa/authenticate/", mfa.authenticate, name="mfa_authenticate"),
    path("2fa/reauthenticate/", mfa.reauthenticate, name="mfa_reauthenticate"),
    path("2fa/app/", recorded(totp.activate_totp), name="mfa_activate_totp"),
    path("2fa/app/remove/", recorded(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path(
        "2fa/codes/", recorded(recovery_codes.view_recovery_codes), name="mfa_view_recovery_codes"
    ),
    path(
        "2fa/codes/new/",
        recorded(recovery_codes.generate_recovery_codes),
        name="mfa_generate_recovery_codes",
    ),
    path("2fa/passkeys/", passkeys.list_webauthn, name="mfa_list_webauthn"),
    path("2fa/passkeys/add/", recorded(passkeys.add_webauthn), name="mfa_add_webauthn"),
    path(
        "2fa/passkeys/<int:pk>/remove/",
        recorded(passkeys.remove_webauthn),
        name="mfa_remove_webauthn",
    ),
    path("2fa/passkeys/<int:pk>/", recorded(passkeys.edit_webauthn), name="mfa_edit_webauthn"),
    path(
        "2fa/passkeys/reauthenticate/",
        passkeys.reauthenticate_webauthn,
        name="mfa_reauthenticate_webauthn",
    ),
    path("2fa/passkeys/login/", passkeys.login_webauthn, name="mfa_login_webauthn"),
    # Single sign-on.
    path("sso/cancelled/", provider.login_cancelled, name="socialaccount_login_cancelled"),
    path("sso/error/", provider.login_error, name="socialaccount_login_error"),
    path("oidc/<str:provider_id>/login/", openid.login, name="openid_connect_login"),
    path("oidc/<str:provider_id>/login/callback/", openid.callback, name="openid_connect_callback"),
]
