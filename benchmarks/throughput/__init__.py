"""Jobs a second with a 50 ms model, against hand-written Celery tasks on the same servers."""
