"""Entries of the log of what people did, in words."""

from typing import NamedTuple

from tierline.services.accounts import audit
from tierline.services.accounts.audit import LoggedEntry

WORDS = {
    audit.CONTENT_SHOWN: "looked at input and output",
    audit.CANCELLED: "asked to cancel a job",
    audit.RETRIED: "retried a job",
    audit.LABELLED: "labelled an answer",
    audit.BULK_BEGUN: "began a bulk action",
    audit.BULK_ABORTED: "aborted a bulk action",
    audit.SIGNED_IN: "signed in",
    audit.SIGNED_OUT: "signed out",
    audit.PERSON_SIGNED_OUT: "ended a person's sessions",
    audit.SIGN_IN_REFUSED: "was refused to sign in",
    audit.PROBED: "asked for a probe",
    audit.ENDPOINT_ADDED: "added a webhook endpoint",
    audit.ENDPOINT_DISABLED: "disabled a webhook endpoint",
    audit.ENDPOINT_ENABLED: "enabled a webhook endpoint",
    audit.ENDPOINT_REMOVED: "removed a webhook endpoint",
    audit.ENDPOINT_TESTED: "sent a test webhook",
    audit.ENDPOINT_RESIGNED: "changed a webhook secret",
    audit.RESENT: "sent a webhook again",
    audit.ACCOUNT_CREATED: "created an account",
    audit.ACCOUNT_CHANGED: "changed an account",
    audit.KEY_CREATED: "created a key",
    audit.KEY_ROTATED: "rotated a key",
    audit.KEY_REVOKED: "revoked a key",
    audit.LABELS_REQUESTED: "asked for labels",
    audit.UPLOADED: "uploaded a file for a batch",
    audit.UPLOAD_REMOVED: "removed an uploaded file",
    audit.BATCH_STARTED: "started a batch",
    audit.BATCH_CANCELLED: "asked to cancel a batch",
    audit.BATCH_PAUSED: "paused a batch",
    audit.BATCH_RESUMED: "resumed a batch",
    audit.BATCH_DOWNLOADED: "downloaded a batch's rows",
    audit.TRIED: "tried an input",
    audit.DIFFERING_SHOWN: "looked at an evaluation's examples",
    audit.NOVEL_SHOWN: "looked at novel inputs",
    audit.PROMOTED: "promoted a tier",
    audit.DEMOTED: "let the last tier answer again",
}


class EntryText(NamedTuple):
    """An entry in words."""

    what: str
    about: str  # names and numbers; empty: nothing more


def entry_text(entry: LoggedEntry) -> EntryText:
    """The entry in words. An action of a later release is shown by its name."""
    detail = entry.detail or {}
    about = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in detail.items())
    return EntryText(WORDS.get(entry.action, entry.action), about)
