"""Training a micro model on some of a feature's labels, and putting it to the others."""

from collections.abc import Sequence
from dataclasses import dataclass

from tierline.base.vectors import Vectors
from tierline.routing.first_tier import share_of
from tierline.routing.micro import Micro, mixed, strangers, train
from tierline.routing.threshold_search import Scored

HELD_OUT_SHARE = 0.5
"""Of the inputs that stand for all traffic, what is kept from training to test a promise on. Which
they are goes by the input's key, so that a model that is trained anew is not fitted on them."""
FEWEST_LABELS = 4  # so that some can be withheld, to see the model fooled


@dataclass(frozen=True)
class HeldOut:
    """One held-out answer; `label`: the right one, or none for a kind that was withheld."""

    scored: Scored
    label: str | None


@dataclass(frozen=True)
class Lesson:
    """A micro model, and how it did on what it was not fitted on."""

    micro: Micro
    rows: int  # that it was fitted on
    right: int  # of those, by a head that was not fitted on them
    planned: tuple[Scored, ...]  # to plan a promise on
    held_out: tuple[HeldOut, ...]  # to test it on; those that were not novel to it
    novel: int  # of those that were held out
    strangers: float  # the share of held-out kinds in both


def is_held_out(key: str, *, representative: bool) -> bool:
    """Whether the input of that key tests promises and trains nothing."""
    return representative and share_of("micro", key) < HELD_OUT_SHARE


def learn(
    vectors: Vectors, labels: Sequence[str], held_out: Sequence[bool], share: float
) -> Lesson:
    """Train on what is not held out. `share`: of the traffic, how much may be of a kind that was
    never seen while a promise still holds; with fewer than FEWEST_LABELS it is 0. Raises
    CannotLearn where there are too few labels, ValueError for a share outside 0..1.
    """
    fitted = [place for place, held in enumerate(held_out) if not held]
    asked = [place for place, held in enumerate(held_out) if held]
    known = vectors[fitted], [labels[place] for place in fitted]
    heard = vectors[asked], [labels[place] for place in asked]
    if len(set(known[1])) < FEWEST_LABELS:
        share = 0.0
    trained = train(*known, withhold=share > 0)
    answers = trained.micro.answer(heard[0]) if asked else []
    tested = [
        HeldOut(Scored(answer.score, answer.label != label), label)
        for answer, label in zip(answers, heard[1], strict=True)
        if not answer.novel
    ]
    novel = len(answers) - len(tested)
    planned = list(trained.planned)
    right = sum(not one.wrong for one in planned)
    if share > 0 and asked:
        strange = strangers(trained.micro, *known, *heard)
        if not strange:
            share = 0.0
        planned = mixed(planned, strange, share)
        added = mixed([one.scored for one in tested], strange, share)[len(tested) :]
        tested += [HeldOut(one, None) for one in added]
    return Lesson(trained.micro, len(fitted), right, tuple(planned), tuple(tested), novel, share)
