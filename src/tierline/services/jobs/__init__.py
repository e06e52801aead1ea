"""The road of a job: submitted, chosen, run, settled, recovered."""
