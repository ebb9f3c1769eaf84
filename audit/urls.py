"""The audit endpoints."""

from django.urls import path

from audit.proof_views import CheckpointView, ConsistencyView, ProofView
from audit.views import AuditView

urlpatterns = [
    path("audit", AuditView.as_view(), name="audit"),
    path("audit/checkpoint", CheckpointView.as_view(), name="audit-checkpoint"),
    path("audit/consistency", ConsistencyView.as_view(), name="audit-consistency"),
    path("audit/<uuid:trace_id>/proof", ProofView.as_view(), name="audit-proof"),
]
