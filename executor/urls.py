"""The executor's endpoints."""

from django.urls import path

from executor.approval_views import ApprovalsView
from executor.run_views import CancelView, OutputView, RunsView, RunView
from executor.views import ExecuteView

urlpatterns = [
    path("execute", ExecuteView.as_view(), name="execute"),
    path("approvals", ApprovalsView.as_view(), name="approvals"),
    path("runs", RunsView.as_view(), name="runs"),
    path("runs/<slug:execution_id>", RunView.as_view(), name="run"),
    path("runs/<slug:execution_id>/output", OutputView.as_view(), name="run-output"),
    path("runs/<slug:execution_id>/cancel", CancelView.as_view(), name="run-cancel"),
]
