"""What may be spent and what things cost: budgets, plans, prices."""
