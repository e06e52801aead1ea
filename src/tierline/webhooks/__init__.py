"""Webhooks as Standard Webhooks has them: what is said, how it is signed, whom it may reach, when.

Values and decisions, except for `call`, which alone opens connections. Source:
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""
