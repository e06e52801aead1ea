"""Select lists from the type of a row, so that its fields are declared once."""

from collections.abc import Mapping


def columns(row: type, table: str, sources: Mapping[str, str] | None = None) -> str:
    """The select list for a row type (a TypedDict): each field from its entry in `sources`, else
    from the column of its name in `table`.
    """
    expressions = sources or {}
    strange = expressions.keys() - row.__annotations__.keys()
    if strange:
        raise TypeError(f"{row.__name__} has no field {', '.join(sorted(strange))}")
    return ", ".join(
        f"{expressions.get(name, f'{table}.{name}')} AS {name}" for name in row.__annotations__
    )
