"""Budgets, plans and prices."""
