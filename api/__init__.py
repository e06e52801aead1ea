"""The REST door: routes, keys, problems. It reads requests, calls services and shows their results.

Nothing here builds a statement, and nothing of the product's logic stands here.
"""

from tierline.base.lean_start import begin

begin()
