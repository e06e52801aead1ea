"""The picture at the end of the demo: what was right, how long it took, what it cost.

Everything printed here was counted in this run, but for what is marked as estimated.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from rich.console import Console
from rich.table import Table

from examples.demo.bar import Bar, bar_of
from examples.demo.classifier import FEATURE as CLASSIFIED
from examples.demo.classifier import PromiseMade
from examples.demo.costs import Used, by_tier, second_tier_alone
from examples.demo.outcomes import Outcome, Tally, quantile
from examples.demo.second_tier import SecondTier
from tierline.features import ModelRef, Price
from tierline.pricing import PricedCall, list_price, price_of

ASSUMED = "openai:gpt-6.1-sol"  # its list price stands in where no frontier model was paid


def print_report(
    console: Console,
    outcomes: Sequence[Outcome],
    second: SecondTier,
    promise: PromiseMade,
    now: datetime,
) -> Bar:
    """Everything but where to look next. The bar that it was held to."""
    bar = bar_of(outcomes, stand_in=second.stand_in)
    _print_served(console, bar)
    _print_promise(console, outcomes, promise)
    _print_latencies(console, outcomes)
    _print_use(console, outcomes)
    _print_estimate(console, outcomes, second, now)
    return bar


def _print_served(console: Console, bar: Bar) -> None:
    table = _table("What was served, against the known answers (which the product never saw)")
    for title in (
        *("served right", "served WRONG", "deeper, then right"),
        *("left to a person", "no right answer"),
    ):
        table.add_column(title, justify="right")
    for one in bar.features:
        table.add_row(f"{one.feature} ({one.jobs})", *_figures(one))
    console.print()
    console.print(table)
    console.print(
        "deeper, then right: of those served right, by a later tier than the first.\n"
        "left to a person: no tier was sure, so nothing was served.\n"
        "no right answer: of those left, nothing would have been right (two invoices, none, a\n"
        "field missing).",
        style="dim",
    )
    console.print(bar.wrong_words)
    console.print(bar.right_words)


def _figures(one: Tally) -> list[str]:
    return [str(n) for n in (one.right, one.wrong, one.right_after, one.left, one.left_rightly)]


def _print_promise(console: Console, outcomes: Sequence[Outcome], promise: PromiseMade) -> None:
    tickets = [one for one in outcomes if one.row.feature == CLASSIFIED]
    served = [one for one in tickets if one.served and one.job["tier"] == "micro"]
    wrong = sum(not one.served_right for one in served)
    console.print()
    console.print(f"[bold]A promise, and what came of it[/bold]: {promise.words}.")
    console.print(
        f"In this run the classifier served {len(served)} of {len(tickets)} tickets; {wrong} of "
        "them are wrong. Such small numbers neither prove nor refute it."
    )


def _print_latencies(console: Console, outcomes: Sequence[Outcome]) -> None:
    table = _table("Latency", "what")
    for title in ("n", "p50", "p95"):
        table.add_column(title, justify="right")
    tiers = dict.fromkeys(a["tier"] for one in outcomes for a in one.attempts)
    for tier in tiers:
        spans = [
            attempt["latency_s"]
            for one in outcomes
            for attempt in one.attempts
            if attempt["tier"] == tier and attempt.get("latency_s") is not None
        ]
        _add_latency(table, f"one attempt on {tier}", spans)
    for escalated, words in ((False, "ended on the first tier"), (True, "after deeper analysis")):
        waits = [_whole_s(one.job) for one in outcomes if one.went_deeper is escalated]
        _add_latency(table, f"submitted to ended, {words}", [w for w in waits if w is not None])
    console.print()
    console.print(table)
    console.print(
        "All jobs were submitted at once, so the last two lines are mostly waiting in a queue.",
        style="dim",
    )


def _print_use(console: Console, outcomes: Sequence[Outcome]) -> None:
    table = _table("What it used, as booked call by call", "tier")
    for title in ("calls", "tokens in", "tokens out", "model seconds", "cost"):
        table.add_column(title, justify="right")
    tiers = by_tier(outcomes)
    for tier, used in tiers.items():
        _add_use(table, tier, used)
    _add_use(table, "all", sum(tiers.values(), Used()))
    console.print()
    console.print(table)
    unknown = sum(used.unknown for used in tiers.values())
    if unknown:
        console.print(
            f"{unknown} calls are of unknown cost or tokens, and are in none of the sums."
        )


def _print_estimate(
    console: Console, outcomes: Sequence[Outcome], second: SecondTier, now: datetime
) -> None:
    console.print()
    if second.stand_in:
        console.print(
            "Against the second tier alone: not calculated. The second tier was a stand-in, and a "
            "saving against it would mean nothing."
        )
        return
    alone = second_tier_alone(outcomes, second.tier)
    if alone is None:
        console.print(
            "Against the second tier alone: not calculated, because a feature sent nothing to it."
        )
        return
    used = by_tier(outcomes)
    there = used.get(second.tier, Used())
    reference = ModelRef.parse(second.model if second.paid else ASSUMED)
    price = price_of(reference, PricedCall(now)) if second.paid else list_price(reference, now)
    table = _table("Against the second tier alone (estimated)", "")
    for title in ("tokens there", "model seconds", "cost there"):
        table.add_column(title, justify="right")
    small_s = sum((one.model_s for tier, one in used.items() if tier != second.tier), 0.0)
    for words, one, seconds in (
        ("this run", there, there.model_s + small_s),
        ("second tier alone, estimated", alone, alone.model_s),
    ):
        tokens = f"{one.input_tokens + one.output_tokens:,.0f}"
        cost = "unknown" if price is None else _usd(one.at(price))
        table.add_row(words, tokens, f"{seconds:.1f}", cost)
    console.print(table)
    console.print(_assumptions(second, reference, price, now), style="dim")


def _assumptions(
    second: SecondTier, reference: ModelRef, price: Price | None, now: datetime
) -> str:
    if price is None:
        return f"The price of {reference} is unknown, so no cost is shown."
    words = (
        f"Estimated: each job is taken to need there what the feature's escalated jobs needed. "
        f"Assumed prices: {reference} at its list price on {now:%Y-%m-%d}, "
        f"${price.input_usd_per_mtok} in and ${price.output_usd_per_mtok} out per million tokens; "
        "the local first tier at $0 a token (its machine is in the model seconds). Left out: "
        "caching, and the higher rates that some models have for long prompts."
    )
    if not second.paid:
        words += (
            f" {second.model} is local and cost nothing; its tokens are priced as if {reference} "
            "had read and written them, which a real one would not do token for token."
        )
    return words


def _table(title: str, first: str = "feature") -> Table:
    table = Table(
        title=title, box=None, title_justify="left", title_style="bold", padding=(0, 2, 0, 0)
    )
    table.add_column(first, no_wrap=True)
    return table


def _add_latency(table: Table, words: str, spans: Sequence[float]) -> None:
    table.add_row(words, str(len(spans)), _span(quantile(spans, 0.5)), _span(quantile(spans, 0.95)))


def _add_use(table: Table, words: str, used: Used) -> None:
    table.add_row(
        words,
        f"{used.calls:,}",
        f"{used.input_tokens:,.0f}",
        f"{used.output_tokens:,.0f}",
        f"{used.model_s:.1f}",
        _usd(used.cost_usd),
    )


def _whole_s(job: Mapping[str, str]) -> float | None:
    if not job.get("completed_at"):
        return None
    ended, began = (datetime.fromisoformat(job[name]) for name in ("completed_at", "created_at"))
    return (ended - began).total_seconds()


def _span(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _usd(value: Decimal) -> str:
    return "$0" if value == 0 else f"${value:.4f}"
