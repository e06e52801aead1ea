"""Plans, prices, budgets and what they have reserved."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB

from tierline.storage.db.tables.shared import metadata, when

plans = Table(
    "plans",
    metadata,
    Column("name", Text, primary_key=True),
    Column(
        "first_tier_only",
        Boolean,
        nullable=False,
        comment="no later tier is asked for its accounts",
    ),
    Column("budgets", JSON, nullable=False, comment="[{scope, period, limit_usd, hard}]"),
    when("created_at", required=True),
)

prices = Table(
    "prices",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("model", Text, nullable=False, comment="provider:model, letter by letter"),
    Column(
        "terms",
        Text,
        nullable=False,
        server_default="",
        comment="the service tier, speed or batch that it is for; empty: the standard",
    ),
    when("since", required=True, comment="in force from here to the next of its model and terms"),
    Column("price", JSONB, comment="Price.to_dict(); null: withdrawn, the list holds again"),
    Column("note", Text, nullable=False, server_default=""),
    when("created_at", required=True),
    UniqueConstraint("model", "terms", "since"),
    comment="the operator's own; append-only, what a call cost stands on the call",
)

budgets = Table(
    "budgets",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("scope", Text, nullable=False, comment="account, user, session"),
    Column(
        "key",
        Text,
        nullable=False,
        server_default="",
        comment="the user or session; empty: each one for itself",
    ),
    Column("period", Text, nullable=False, comment="day, month; in UTC"),
    Column("limit_usd", Numeric, nullable=False),
    Column(
        "hard",
        Boolean,
        nullable=False,
        server_default="false",
        comment="binds the first tier too",
    ),
    Column("plan", Text, comment="that it came with; null: its own"),
    when("created_at", required=True),
    UniqueConstraint("account_id", "scope", "key", "period"),
)

budget_periods = Table(
    "budget_periods",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("budget_id", ForeignKey("budgets.id"), nullable=False),
    Column("key", Text, nullable=False, comment="whose: the user, the session; empty: the account"),
    Column("starts_on", Date, nullable=False),
    Column(
        "reserved_usd",
        Numeric,
        nullable=False,
        server_default="0",
        comment="for calls that are out, and for those that were lost",
    ),
    Column("spent_usd", Numeric, nullable=False, server_default="0"),
    Column(
        "alerted",
        SmallInteger,
        nullable=False,
        server_default="0",
        comment="the highest share spent that was told, in percent",
    ),
    UniqueConstraint("budget_id", "key", "starts_on"),
    comment="one row a budget, holder and period, which its calls update: budgets are opt-in",
    postgresql_with={"fillfactor": "50", "autovacuum_vacuum_threshold": "200"},
)

reservations = Table(
    "reservations",
    metadata,
    Column("job_id", Uuid, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("number", SmallInteger, nullable=False, comment="the call's, in the attempt"),
    Column("periods", ARRAY(BigInteger), nullable=False, comment="budget_periods it counts in"),
    Column("amount_usd", Numeric, nullable=False, comment="the most that the call can cost"),
    Column("settled_usd", Numeric, comment="null: out, or lost"),
    when("made_at", required=True),
    PrimaryKeyConstraint("job_id", "attempt", "number"),
    Index("reservations_open_idx", "job_id", postgresql_where=text("settled_usd IS NULL")),
    Index("reservations_made_at_idx", "made_at"),
)
