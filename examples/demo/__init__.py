"""`make demo`: the main job, end to end, on the inputs of examples/inputs, and what came of it.

It starts the product as a user does, submits by REST, with webhooks and by backfill, and counts
right and wrong afterwards against the known answers, which the product never sees. Not part of the
product: everything here goes through its command line and its REST API.
"""
