"""The executor's endpoints."""

from django.urls import path

from executor.approval_views import ApprovalsView
from executor.views import ExecuteView

urlpatterns = [
    path("execute", ExecuteView.as_view(), name="execute"),
    path("approvals", ApprovalsView.as_view(), name="approvals"),
]
