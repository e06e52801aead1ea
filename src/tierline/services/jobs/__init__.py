"""The path of a job: submit, dispatch, execute, settle, recover, cancel."""
