"""The REST API: routes, keys, problems. It reads requests, calls services and shows the results.

Nothing here builds an SQL statement or holds product logic.
"""

from tierline.base.lean_start import begin

begin()
