"""One pass over a source: the first so many records, with each problem reported once."""

from collections.abc import Callable, Iterator

from tierline.cli.run.backfill.rows import BadLine, Record, Row
from tierline.cli.run.backfill.sources import Source

ReportBad = Callable[[int | None, str | None, str], None]  # line, id, problem


class Reading:
    """The records of a run; afterwards, whether they were all of the source."""

    def __init__(self, source: Source, limit: int | None) -> None:
        self._source = source
        self._limit = limit
        self.whole = False

    def __iter__(self) -> Iterator[Record]:
        self.whole = False
        for number, record in enumerate(self._source.records()):
            if number == self._limit:
                return
            yield record
        self.whole = True

    def rows(self, bad: ReportBad) -> Iterator[Row]:
        """The valid rows. `bad` is called for the others."""
        for record in self:
            if isinstance(record, BadLine):
                bad(record.line, record.custom_id, record.message)
            else:
                yield record
