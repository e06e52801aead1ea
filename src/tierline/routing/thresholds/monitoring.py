"""Monitoring a promise on new outcomes, at any time and any number of times.

This is a bet against the promise. If the error rate is at most `max_error`, a gambler who stakes a
share of her wealth on each next answer being wrong cannot expect to gain, whatever the share. So
her wealth reaches 1/risk with a probability of at most `risk`, over all checks together (Ville
1939; Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting").
Wealth here is the mean over a fixed set of stakes. It depends on two counts only, so no state is
stored.
"""

import math

_STAKES = tuple(
    2.0**-k for k in range(1, 11)
)  # of the wealth; the best one is about how far off the promise is


def wealth(errors: int, samples: int, max_error: float) -> float:
    """The gambler's wealth, starting from 1: how strongly the counts contradict the promise."""
    if not 0 <= errors <= samples:
        raise ValueError(f"{errors} errors among {samples} samples are impossible")
    if not 0.0 < max_error < 1.0:
        raise ValueError(f"max_error must lie between 0 and 1, not {max_error}")
    logs = [_log_wealth(errors, samples, max_error, stake) for stake in _STAKES]
    top = max(logs)
    return math.exp(min(top, 700.0)) * sum(math.exp(one - top) for one in logs) / len(logs)


def broken(errors: int, samples: int, max_error: float, confidence: float) -> bool:
    """Whether the promise is refuted at `confidence`, however often it was checked before."""
    return wealth(errors, samples, max_error) >= 1.0 / (1.0 - confidence)


def _log_wealth(errors: int, samples: int, max_error: float, stake: float) -> float:
    """After betting `stake` of the wealth, at fair odds, on each answer being wrong."""
    won = math.log1p(stake * (1.0 - max_error) / max_error)
    return errors * won + (samples - errors) * math.log1p(-stake)
