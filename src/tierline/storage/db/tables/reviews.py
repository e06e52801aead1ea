"""Reviews: the answers that people are asked to label."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Identity,
    Index,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from tierline.storage.db.tables.shared import metadata, when

reviews = Table(
    "reviews",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("account_id", BigInteger, nullable=False, comment="whose job it is"),
    Column("feature", Text, nullable=False),
    Column("job_id", Uuid, nullable=False),
    Column("place", SmallInteger, nullable=False, comment="1, or 2 for a second person"),
    Column("source", Text, nullable=False, comment="sample, filter"),
    when("asked_at", required=True),
    Column("held_by", BigInteger, comment="the key whose owner looks at it now"),
    when("held_until", comment="then others may take it"),
    Column(
        "skipped_by",
        ARRAY(BigInteger),
        nullable=False,
        server_default="{}",
        comment="the keys whose owners left it to others",
    ),
    Column("key_id", BigInteger, comment="the key that labelled it; null: none yet"),
    Column("is_right", Boolean, comment="whether that person holds it to be right"),
    Column("feedback_id", BigInteger, comment="what that person said"),
    when("labelled_at"),
    UniqueConstraint("job_id", "place"),
    Index(
        "reviews_open_idx", "account_id", "feature", "id", postgresql_where=text("key_id IS NULL")
    ),
    Index(
        "reviews_twice_idx",
        "account_id",
        "feature",
        postgresql_where=text("place = 2 AND key_id IS NOT NULL"),
    ),
    comment="answers that people are asked to label, a row for each label that is wanted",
)
