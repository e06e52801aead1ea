"""OpenAI's API in front of jobs: /openai/v1, for applications that use OpenAI's clients.

A model is a feature, and a response or a chat completion is a job. `docs/openai.md` says of every
field whether it is kept, mapped or refused. The routes are in `*_routes`; the other modules are
pure functions from values to values.
"""
