"""The console: pages for people, which the OpenAPI document does not list."""

from api.console import static_files
from api.console.routes import (
    audit,
    jobs,
    keys,
    overview,
    providers,
    review,
    sign_in,
    unknown,
    webhooks,
)

ROUTES = (
    static_files,
    sign_in,
    overview,
    jobs,
    review,
    providers,
    webhooks,
    keys,
    audit,
    unknown,  # last: it answers what no other page does
)
