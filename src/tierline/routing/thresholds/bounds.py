"""Bounds on an error rate, from counted errors and samples.

The exact binomial bounds of Clopper and Pearson (1934). They hold for any true rate and any number
of samples, and are a little wider than necessary. All rates are shares, 0 to 1.
"""

MOST_SAMPLES = 10_000_000  # above this, `samples_needed` says that no number is enough


def upper_bound(errors: float, samples: int, confidence: float) -> float:
    """The highest error rate that is compatible with `errors` among `samples`, at `confidence`.

    `errors` may be a fraction if it is an expected value: the bound lies between its neighbours'.
    """
    _check(errors, samples, confidence)
    if errors >= samples:
        return 1.0
    return _beta_quantile(confidence, errors + 1, samples - errors)


def lower_bound(errors: float, samples: int, confidence: float) -> float:
    """The lowest error rate that is compatible with `errors` among `samples`, at `confidence`."""
    _check(errors, samples, confidence)
    if errors == 0:
        return 0.0
    return _beta_quantile(1.0 - confidence, errors, samples - errors + 1)


def interval(errors: int, samples: int, confidence: float = 0.95) -> tuple[float, float]:
    """Both bounds, which hold together at `confidence`."""
    each = 1.0 - (1.0 - confidence) / 2.0
    return lower_bound(errors, samples, each), upper_bound(errors, samples, each)


def holds(errors: int, samples: int, max_error: float, confidence: float) -> bool:
    """Whether `max_error` may be promised: a higher rate would rarely give so few errors."""
    return samples > 0 and upper_bound(errors, samples, confidence) <= max_error


def samples_needed(max_error: float, confidence: float, expected_error: float = 0.0) -> int | None:
    """The fewest samples with which `max_error` can be promised, if errors occur as expected.

    None if that is never possible: a rate at or above `max_error` proves nothing below it.
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
        raise ValueError(f"{errors} errors among {samples} samples are impossible")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
