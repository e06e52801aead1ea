"""Everything that Postgres stores: the tables, and every statement on them, by subject.

No other code builds a statement or opens a transaction.
"""
