from django.urls import path

from benchmarks.floors.team.views import Memory

urlpatterns = [path("memory", Memory.as_view())]
