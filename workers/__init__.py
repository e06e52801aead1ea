"""The processes behind the API: workers on Celery, and the dispatcher that feeds them hints.

Thin doors on tierline.services: what a job goes through stands there.
"""

from tierline.base.lean_start import begin

begin()
