"""Fixtures of the tests of budgets."""

from tests.support.scenes.budgeted import no_budgets

__all__ = ["no_budgets"]
