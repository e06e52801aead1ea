"""Django views that submit a job, and show how far it is.

urlpatterns = [
    path("tickets/<int:ticket_id>/triage", triage),
    path("jobs/<uuid:job_id>", progress),
]
"""

from functools import cache
from uuid import UUID

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET, require_POST

from tierline_client import LimitReached, Tierline


@cache
def client() -> Tierline:
    """One client for the process; its connections are shared by threads."""
    return Tierline(app="helpdesk/1.0")


@require_POST
def triage(request: HttpRequest, ticket_id: int) -> JsonResponse:
    text = request.POST["text"]
    try:
        job = client().jobs.submit(
            "ticket-triage", {"text": text}, idempotency_key=f"ticket-{ticket_id}"
        )
    except LimitReached as limit:
        wait = {"Retry-After": str(int(limit.retry_after_s or 1))}
        return JsonResponse({"error": limit.message}, status=503, headers=wait)
    return JsonResponse({"job": job.id}, status=202)


@require_GET
def progress(_: HttpRequest, job_id: UUID) -> JsonResponse:
    job = client().jobs.get(str(job_id))
    # status_label is a text for people, such as "running deeper analysis…".
    return JsonResponse({"status": job.status, "label": job.status_label, "output": job.output})
