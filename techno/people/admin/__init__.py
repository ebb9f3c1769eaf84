"""People in the portal: one module for each noun."""

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin

# Pages of django-allauth's own: they show secrets, or are of no use here.
for _model in (EmailAddress, Authenticator, SocialAccount, SocialApp, SocialToken, UserSession):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)

from techno.people.admin import groups, people, sessions  # noqa: E402  (the pages that take over)

__all__ = ["groups", "people", "sessions"]
