"""The console: pages for people, which the OpenAPI document does not list."""

from api.console import static_files
from api.console.routes import (
    audit,
    batches,
    bulk_actions,
    evidence,
    features,
    jobs,
    keys,
    money,
    new_batch,
    openid,
    overview,
    promotions,
    providers,
    review,
    sign_in,
    unknown,
    webhooks,
)

ROUTES = (
    static_files,
    sign_in,
    openid,
    overview,
    jobs,
    new_batch,  # before the pages of batches, whose ids are any text
    batches,
    bulk_actions,
    review,
    features,
    evidence,
    promotions,
    money,
    providers,
    webhooks,
    keys,
    audit,
    unknown,  # last: it answers what no other page does
)
