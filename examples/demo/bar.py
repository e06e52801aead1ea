"""What the demo is held to: of what is served, hardly anything is wrong, and enough is served.

Silence would be an easy way to be never wrong, so the second half asks for right answers.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from examples.demo.outcomes import Outcome, Tally, tally

BAR_MISSED = 3  # exit code
MOST_WRONG = 0.05  # of what is served
CHANCE = 2  # wrong answers that are chance, where few are served
LEAST_RIGHT = 1 / 2  # of the inputs that have a right answer, with a larger model
LEAST_RIGHT_SMALL = 1 / 3  # with LARGER=0


@dataclass(frozen=True)
class Bar:
    """The figures of a whole run, and whether they are good enough."""

    features: tuple[Tally, ...]
    served: int
    wrong: int  # of the served
    right: int  # of the served
    answerable: int  # inputs that have a right answer
    least_right: float  # share of those that has to be served right

    @property
    def wrong_held(self) -> bool:
        return self.wrong <= max(CHANCE, MOST_WRONG * self.served)

    @property
    def right_held(self) -> bool:
        return self.right >= self.least_right * self.answerable

    @property
    def held(self) -> bool:
        return self.wrong_held and self.right_held

    @property
    def wrong_words(self) -> str:
        share = f" ({self.wrong / self.served:.1%})" if self.served else ""
        chance = CHANCE if MOST_WRONG * self.served < CHANCE else None
        room = f", or {CHANCE} where that is more" if chance else ""
        return (
            f"Of {self.served} served, {self.wrong} are wrong{share}: the bar is "
            f"{MOST_WRONG:.0%}{room}. {_verdict(self.wrong_held)}"
        )

    @property
    def right_words(self) -> str:
        share = f" ({self.right / self.answerable:.0%})" if self.answerable else ""
        return (
            f"Of {self.answerable} inputs that have a right answer, {self.right} are served "
            f"right{share}: the bar is {self.least_right:.0%}. {_verdict(self.right_held)}"
        )

    def to_dict(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "bar_held": self.held,
            "served": self.served,
            "wrong": self.wrong,
            "wrong_held": self.wrong_held,
            "right": self.right,
            "answerable": self.answerable,
            "right_held": self.right_held,
            "features": [asdict(one) for one in self.features],
        }


def bar_of(outcomes: Iterable[Outcome], *, stand_in: bool) -> Bar:
    """Hold a run to the bar; `stand_in`: without a larger model."""
    all_of_them = list(outcomes)
    names = dict.fromkeys(one.row.feature for one in all_of_them)
    features = tuple(tally(name, all_of_them) for name in names)
    return Bar(
        features=features,
        served=sum(one.right + one.wrong for one in features),
        wrong=sum(one.wrong for one in features),
        right=sum(one.right for one in features),
        answerable=sum(one.row.expected is not None for one in all_of_them),
        least_right=LEAST_RIGHT_SMALL if stand_in else LEAST_RIGHT,
    )


def _verdict(held: bool) -> str:
    return "It held." if held else "It did NOT hold."
