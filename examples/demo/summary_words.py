"""The demo's own check of a summary: it says what the ticket says, in the ticket's words.

A summary that is made up has words that the ticket lacks. Most of the longer words of a faithful
one stand in the ticket, and so does every number. Paraphrases are refused too: a person reads
those.
"""

import re

_WORD = re.compile(r"[^\W\d_]{4,}")
_NUMBER = re.compile(r"\d+")
_STEM = 5  # letters that two forms of a word have in common: deliver, delivery
LEAST_SHARE = 0.75  # of the longer words; chosen on examples/dev
FEWEST = 3  # longer words, so that one word out of the ticket is no summary
# Words that say what kind of message it is, and nothing of its subject.
_FREE = re.compile(
    r"about|after|asks|asking|been|cannot|customers?|does|from|have|into|needs?|over|that|their|"
    r"them|there|they|this|tickets?|users?|wants?|were|what|when|where|which|while|will|with|would|"
    r"your"
)
_ORDERS = re.compile(
    r"ignore|disregard|instruction|assistant|system:|prompt|\bbot\b|chatbot",
    re.IGNORECASE,
)


def problem(text: str, summary: object) -> str | None:
    """Why the summary should not be served; None if it keeps to the ticket's words."""
    if not isinstance(summary, str):
        return "the summary is no text"
    if _ORDERS.search(text):
        return "the ticket gives orders to whoever summarises it"
    stands = {word[:_STEM] for word in _words(text)}
    words = [word for word in _words(summary) if not _FREE.fullmatch(word)]
    if len(words) < FEWEST:
        return "the summary has too few words of the ticket"
    share = sum(word[:_STEM] in stands for word in words) / len(words)
    if share < LEAST_SHARE:
        return "too many words of the summary do not stand in the ticket"
    if not set(_NUMBER.findall(summary)) <= set(_NUMBER.findall(text)):
        return "a number of the summary does not stand in the ticket"
    return None


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]
