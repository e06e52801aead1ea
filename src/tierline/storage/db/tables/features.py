"""Features and their versions, and the providers that workers have keys for."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Identity,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from tierline.storage.db.tables.shared import metadata, when

feature_versions = Table(
    "feature_versions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False, comment="from 1; a draft's counts down from -1"),
    Column("document", JSONB, nullable=False, comment="Feature.to_dict()"),
    Column("source", Text, nullable=False, comment="the YAML as it was applied"),
    Column("fingerprint", Text, nullable=False, comment="SHA-256 of the canonical document"),
    Column(
        "first_calls",
        JSONB,
        nullable=False,
        comment='{tier: {"model", "purpose"}}: what a claim books as its first call',
    ),
    when("applied_at", required=True),
    UniqueConstraint("name", "version"),
    comment="immutable; each job names the one it ran",
)

features = Table(
    "features",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version_id", ForeignKey("feature_versions.id"), nullable=False),
    comment="which version new jobs get",
)

provider_keys = Table(
    "provider_keys",
    metadata,
    Column("worker", Uuid, primary_key=True),
    Column(
        "providers",
        ARRAY(Text),
        nullable=False,
        comment="names of providers that this worker has what it needs for",
    ),
    when("expires_at", required=True, comment="the worker renews the row before"),
    comment="one row a worker process that answers jobs",
)
