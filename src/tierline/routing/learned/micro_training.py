"""Training a micro model on some of a feature's labels, and testing it on the others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tierline.base.vectors import Vectors
from tierline.routing.first_tier import share_of
from tierline.routing.learned.meaning import meaning_groups
from tierline.routing.learned.micro import Micro, fit_head, mixed, strangers, train
from tierline.routing.thresholds.threshold_search import Calibrated, Scored

HELD_OUT_SHARE = 0.5
"""The share of the representative inputs that is kept from training, to test a promise. An input's
key decides whether it is held out, so that a retrained model is not fitted on held-out inputs."""
MEANING_FOLDS = 5  # over groups of one meaning
FEWEST_LABELS = 4  # so that some can be withheld, as kinds that the model has not seen


@dataclass(frozen=True)
class HeldOut:
    """One held-out answer. `label` is the right label; None for a kind that was withheld."""

    scored: Scored
    label: str | None


@dataclass(frozen=True)
class Lesson:
    """A micro model, and its results on inputs that it was not fitted on."""

    micro: Micro
    rows: int  # rows it was fitted on
    right: int  # how many of those a head answers that was not fitted on them
    planned: tuple[Scored, ...]  # to plan a promise on
    held_out: tuple[HeldOut, ...]  # to test it on; without those that were novel to it
    novel: int  # how many held-out inputs were novel
    strangers: float  # the share of withheld kinds in both
    # held-out inputs, answered by heads that were fitted on nothing of their meaning
    by_meaning: tuple[HeldOut, ...] = ()
    novel_by_meaning: int = 0  # how many held-out inputs were novel to those heads


def is_held_out(key: str, *, representative: bool) -> bool:
    """Whether the input with that key is used to test promises, and never for training."""
    return representative and share_of("micro", key) < HELD_OUT_SHARE


def learn(
    vectors: Vectors, labels: Sequence[str], held_out: Sequence[bool], share: float
) -> Lesson:
    """Train on what is not held out. Raises CannotLearn if there are too few labels, ValueError for
    a share outside 0..1.

    `share` is how much of the traffic may be of unseen kinds while a promise still holds. With
    fewer than FEWEST_LABELS it is 0.
    """
    fitted = [place for place, held in enumerate(held_out) if not held]
    held_places = [place for place, held in enumerate(held_out) if held]
    training = vectors[fitted], [labels[place] for place in fitted]
    testing = vectors[held_places], [labels[place] for place in held_places]
    if len(set(training[1])) < FEWEST_LABELS:
        share = 0.0
    trained = train(*training, withhold=share > 0)
    answers = trained.micro.answer(testing[0]) if held_places else []
    tested = [
        HeldOut(Scored(answer.score, answer.label != label), label)
        for answer, label in zip(answers, testing[1], strict=True)
        if not answer.novel
    ]
    novel = len(answers) - len(tested)
    planned = list(trained.planned)
    right = sum(not one.wrong for one in planned)
    if share > 0 and held_places:
        strange = strangers(trained.micro, *training, *testing)
        if not strange:
            share = 0.0
        planned = mixed(planned, strange, share)
        added = mixed([one.scored for one in tested], strange, share)[len(tested) :]
        tested += [HeldOut(one, None) for one in added]
    met, unlike = _by_meaning(trained.micro, vectors, labels, fitted, held_places)
    return Lesson(
        *(trained.micro, len(fitted), right, tuple(planned), tuple(tested), novel, share),
        by_meaning=tuple(met),
        novel_by_meaning=unlike,
    )


def no_looser_than_meaning(
    lesson: Lesson, calibrated: Calibrated, meaning: Calibrated
) -> Calibrated:
    """`calibrated` on the held-out inputs, but no looser than `meaning` allows, which is the
    same search on the held-out inputs split by meaning. Stopping earlier keeps the promise.
    """
    if calibrated.chosen is None or meaning.missing is not None or not lesson.by_meaning:
        return calibrated
    loosest = None if meaning.chosen is None else meaning.chosen.threshold
    passed = [one for one in calibrated.tested if one.threshold >= calibrated.chosen.threshold]
    kept = [one for one in passed if loosest is not None and one.threshold >= loosest]
    return replace(calibrated, chosen=kept[-1] if kept else None)


def _by_meaning(
    micro: Micro,
    vectors: Vectors,
    labels: Sequence[str],
    fitted: Sequence[int],
    held: Sequence[int],
) -> tuple[list[HeldOut], int]:
    """The answers to held-out inputs by heads that saw no input of the same meaning, and how many
    of these inputs were novel to them. Inputs whose label such a head lacks are left out.
    """
    if not held:
        return [], 0
    groups = meaning_groups(vectors)
    held_out: list[HeldOut] = []
    novel = 0
    for fold in range(MEANING_FOLDS):
        tested = [place for place in held if groups[place] % MEANING_FOLDS == fold]
        withheld = {groups[place] for place in tested}
        others = [place for place in fitted if groups[place] not in withheld]
        trained_labels = {labels[place] for place in others}
        tested = [place for place in tested if labels[place] in trained_labels]
        if len(trained_labels) < 2 or not tested:
            continue
        head = fit_head(vectors[others], [labels[place] for place in others])
        answers, seen = head.look(vectors[tested])
        for place, answer, signals in zip(tested, answers, seen, strict=True):
            if micro.novel(signals):
                novel += 1
                continue
            scored = Scored(micro.trust.score(signals), answer != labels[place])
            held_out.append(HeldOut(scored, labels[place]))
    return held_out, novel
