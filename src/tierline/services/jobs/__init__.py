"""The road of a job: submit, dispatch, execute, settle, recover, cancel."""
