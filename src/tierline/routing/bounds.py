"""How high an error rate may still be, given what was counted.

The exact binomial bounds of Clopper and Pearson (1934): they hold for any true rate and any number
of samples, at the price of being a little wide. All rates are shares, 0 to 1.
"""

MOST_SAMPLES = 10_000_000  # beyond which `samples_needed` says that no number will do


def upper_bound(errors: float, samples: int, confidence: float) -> float:
    """The highest error rate that `errors` among `samples` leave possible at `confidence`.

    Errors that are only expected may be a fraction: the bound lies between its neighbours'.
    """
    _check(errors, samples, confidence)
    if errors >= samples:
        return 1.0
    return _beta_quantile(confidence, errors + 1, samples - errors)


def lower_bound(errors: float, samples: int, confidence: float) -> float:
    """The lowest error rate that `errors` among `samples` leave possible at `confidence`."""
    _check(errors, samples, confidence)
    if errors == 0:
        return 0.0
    return _beta_quantile(1.0 - confidence, errors, samples - errors + 1)


def interval(errors: int, samples: int, confidence: float = 0.95) -> tuple[float, float]:
    """Both bounds, which together hold at `confidence`."""
    each = 1.0 - (1.0 - confidence) / 2.0
    return lower_bound(errors, samples, each), upper_bound(errors, samples, each)


def holds(errors: int, samples: int, max_error: float, confidence: float) -> bool:
    """Whether `max_error` may be promised: as few errors as these would be too rare above it."""
    return samples > 0 and upper_bound(errors, samples, confidence) <= max_error


def samples_needed(max_error: float, confidence: float, expected_error: float = 0.0) -> int | None:
    """The fewest samples with which `max_error` can be promised, if errors come as expected.

    None when they never can: errors at or above `max_error` prove nothing below it.
    """
    _check(0, 1, confidence)
    if not 0.0 < max_error <= 1.0:
        raise ValueError(f"max_error must be above 0 and at most 1, not {max_error}")
    if expected_error >= max_error:
        return None

    def enough(samples: int) -> bool:
        return upper_bound(expected_error * samples, samples, confidence) <= max_error

    low, high = 0, 1
    while not enough(high):
        low, high = high, high * 2
        if high > MOST_SAMPLES:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _beta_quantile(share: float, a: float, b: float) -> float:
    from scipy.special import betaincinv

    return float(betaincinv(a, b, share))


def _check(errors: float, samples: int, confidence: float) -> None:
    if not 0 <= errors <= samples or samples < 1:
        raise ValueError(f"{errors} errors among {samples} samples cannot be")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
