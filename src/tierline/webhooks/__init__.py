"""Webhooks by the Standard Webhooks specification: content, signature, allowed addresses, schedule.

Values and decisions only, except for `call`, which opens connections. Source:
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""
