"""Asks the views of examples/python/django_view.py, for an environment that has Django.

`python django_views.py`, with TIERLINE_URL and TIERLINE_API_KEY.
"""

import json
import sys
import time
from pathlib import Path

import django
from django.conf import settings
from django.test import Client
from django.urls import path

sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "python"))
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["testserver"], SECRET_KEY="not one")
django.setup()

import django_view  # noqa: E402 -- after the settings

urlpatterns = [
    path("tickets/<int:ticket_id>/triage", django_view.triage),
    path("jobs/<uuid:job_id>", django_view.progress),
]
browser = Client()
assert browser.get("/tickets/7/triage").status_code == 405
first = browser.post("/tickets/7/triage", {"text": "My parcel is late."})
again = browser.post("/tickets/7/triage", {"text": "My parcel is late."})
assert (first.status_code, again.json()) == (202, first.json())
until = time.monotonic() + 60
shown = browser.get(f"/jobs/{first.json()['job']}").json()
while shown["status"] != "completed":
    assert time.monotonic() < until, shown
    time.sleep(0.05)
    shown = browser.get(f"/jobs/{first.json()['job']}").json()
print(json.dumps(shown))
