"""From submit to completed, one job at a time, beside a hand-written Celery task."""
