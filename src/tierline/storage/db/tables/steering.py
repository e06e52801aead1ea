"""What decides between tiers: trained artefacts, and statistics of each tier."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Identity,
    Integer,
    LargeBinary,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSON

from tierline.storage.db.tables.shared import metadata, when

routers = Table(
    "routers",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("feature", Text, nullable=False, index=True),
    Column("recipe", Text, nullable=False, comment="of the first tier, as in outcomes"),
    Column("rows", Integer, nullable=False, comment="that it was trained on"),
    Column("right_rows", Integer, nullable=False),
    Column("data_sha256", Text, nullable=False, comment="of those rows"),
    Column("quality", JSON, nullable=False, comment="cross-validated, beside the baselines"),
    Column("document", JSON, nullable=False, comment="Combination.to_dict()"),
    Column("vectors", LargeBinary, comment="null: it looks at no embedding"),
    Column("trained_by", Text, nullable=False, server_default="client", comment="server, client"),
    when("trained_at", required=True),
    when("withdrawn_at"),
    comment="append-only; the newest of a feature and recipe counts",
)

micro_models = Table(
    "micro_models",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("feature", Text, nullable=False, index=True),
    Column("recipe", Text, nullable=False, comment="of what its labels mean"),
    Column("rows", Integer, nullable=False, comment="that it was trained on"),
    Column("right_rows", Integer, nullable=False),
    Column("data_sha256", Text, nullable=False, comment="of those rows"),
    Column("quality", JSON, nullable=False, comment="cross-validated"),
    Column("document", JSON, nullable=False, comment="labels, and how far to trust it"),
    Column("vectors", LargeBinary, nullable=False, comment="weights and examples"),
    Column("inputs", LargeBinary, comment="that it has seen, 8 bytes of each digest"),
    Column("trained_by", Text, nullable=False, server_default="client", comment="server, client"),
    when("trained_at", required=True),
    when("withdrawn_at"),
    comment="append-only; the newest of a feature and recipe counts",
)

rollup_cursors = Table(
    "rollup_cursors",
    metadata,
    Column("name", Text, primary_key=True),
    Column("up_to", DateTime(timezone=True), nullable=False, comment="read so far"),
    comment="where what is rolled up in the background goes on",
)

tier_attempts = Table(
    "tier_attempts",
    metadata,
    Column("job_id", Uuid, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("feature_version_id", BigInteger, nullable=False),
    Column("tier", Text, nullable=False),
    Column("begun_at", DateTime(timezone=True), nullable=False),
    Column("passed", Boolean, comment="null: it has not been seen to end"),
    Column("latency_s", Double),
    Column("cost_usd", Numeric, comment="null: unknown"),
    PrimaryKeyConstraint("job_id", "attempt"),
    comment="the last attempts of each tier, where a feature version has a choice among tiers",
)

tiers_seen = Table(
    "tiers_seen",
    metadata,
    Column("feature_version_id", BigInteger, nullable=False),
    Column("tier", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("passes", Double, comment="the share that was served"),
    Column("cost_usd", Double, comment="of an attempt, on average; null: unknown"),
    Column("latency_s", Double, comment="of an attempt, the median"),
    when("seen_at", required=True),
    PrimaryKeyConstraint("feature_version_id", "tier"),
    comment="the sums of tier_attempts, a row a tier",
)
