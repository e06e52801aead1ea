"""Webhooks as Standard Webhooks has them: what is said, how it is signed, whom it may reach, when.

Values and decisions; nothing here opens a connection. Source:
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""
