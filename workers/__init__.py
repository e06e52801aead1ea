"""The processes behind the API: Celery workers, and the dispatcher that sends them hints.

They are thin entry points to tierline.services, where the work is done.
"""

from tierline.base.lean_start import begin

begin()
