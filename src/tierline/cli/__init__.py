"""The command line: a door for people and scripts, over the API.

A command reads its arguments, asks the API and shows the answer; it decides nothing about jobs.
Only `db`, `up` and `models fetch` work on the machine itself.
"""
