"""Each form of the console: the scopes that its key needs."""

SUBMIT, ADMIN, OPERATOR = ("submit", "read"), ("admin",), ("operator",)
READ = ("read",)

FORMS: dict[str, tuple[str, ...]] = {
    "/console/sign-out": READ,
    "/console/jobs/{job_id}/content": READ,
    "/console/jobs/{job_id}/cancel": SUBMIT,
    "/console/jobs/{job_id}/retry": SUBMIT,
    "/console/bulk-actions/plan": SUBMIT,
    "/console/bulk-actions": SUBMIT,
    "/console/bulk-actions/{action_id}/abort": SUBMIT,
    "/console/review/next": SUBMIT,
    "/console/review/draw": ADMIN,
    "/console/review/filter": SUBMIT,
    "/console/review/again": SUBMIT,
    "/console/review/{job_id}": SUBMIT,
    "/console/batches/new": SUBMIT,
    "/console/batches/uploads/{upload_id}/start": SUBMIT,
    "/console/batches/uploads/{upload_id}/remove": SUBMIT,
    "/console/batches/{batch_id}/cancel": SUBMIT,
    "/console/batches/{batch_id}/pause": SUBMIT,
    "/console/batches/{batch_id}/resume": SUBMIT,
    "/console/batches/{batch_id}/output": READ,
    "/console/batches/{batch_id}/errors": READ,
    "/console/features/{name}/try": SUBMIT,
    "/console/features/{name}/evaluations/{evaluation_id}/differing": OPERATOR,
    "/console/features/{name}/drift/examples": OPERATOR,
    "/console/features/{name}/promote/plan": OPERATOR,
    "/console/features/{name}/promote": OPERATOR,
    "/console/features/{name}/demote": OPERATOR,
    "/console/providers/probe": OPERATOR,
    "/console/webhooks": SUBMIT,
    "/console/webhooks/{endpoint_id}/test": SUBMIT,
    "/console/webhooks/{endpoint_id}/rotate": SUBMIT,
    "/console/webhooks/{endpoint_id}/switch": SUBMIT,
    "/console/webhooks/{endpoint_id}/remove": SUBMIT,
    "/console/webhooks/deliveries/{delivery_id}/resend": SUBMIT,
    "/console/keys": ADMIN,
    "/console/keys/{key_id}/rotate": ADMIN,
    "/console/keys/{key_id}/revoke": ADMIN,
    "/console/keys/people/{person_id}/sign-out": ADMIN,
    "/console/keys/accounts": OPERATOR,
    "/console/keys/accounts/change": OPERATOR,
}
PAGES: dict[str, tuple[str, ...]] = {
    "/console/batches/new": SUBMIT,
    "/console/money/accounts": OPERATOR,
    "/console/money/economics": OPERATOR,
    "/console/keys": ADMIN,
    "/console/audit": ADMIN,
}
"""The pages that reading is not enough for."""
