"""Everything that Postgres keeps: the tables and each statement on them, by subject.

Nobody else builds a statement or opens a transaction.
"""
