"""Statements on budgets, plans and prices."""
