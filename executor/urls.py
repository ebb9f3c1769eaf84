"""The executor's endpoints."""

from django.urls import path

from executor.views import ExecuteView

urlpatterns = [path("execute", ExecuteView.as_view(), name="execute")]
