"""Requests in the form of OpenAI's API: their parameters, their input for a feature, their format.

Pure functions from values to values. The API's routes use them, and the reader of OpenAI's batch
files. `docs/openai.md` says of every field whether it is kept, mapped or refused.
"""
