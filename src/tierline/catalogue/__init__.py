"""The known model families: what they are, under which ids they are sold, until when.

The facts are in the TOML files here, each with its source and the day it was read. Unknown facts
are None. Prices are in `tierline.pricing`.
"""

from tierline.catalogue.families import (
    CLASSES,
    Class,
    Family,
    Sold,
    families,
    sold_ids,
)
from tierline.catalogue.find import find, named, replacement
from tierline.catalogue.hosts import region_of

__all__ = [
    "CLASSES",
    "Class",
    "Family",
    "Sold",
    "families",
    "find",
    "named",
    "region_of",
    "replacement",
    "sold_ids",
]
