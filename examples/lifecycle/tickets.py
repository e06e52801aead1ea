"""Tickets without end: each is put together from sentences of its kind, drawn by a seed.

The kind that a ticket was drawn from is what a person would say that it is; the product sees the
text alone. `recall` is a kind that comes late, after everything was learned without it.
"""

import random
from dataclasses import dataclass

LATE = "recall"
OTHER = "other"  # what a person says of it: the feature has no label for it


@dataclass(frozen=True)
class Ticket:
    """One text, and the label that a person gives it."""

    text: str
    label: str


KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "billing": (
        (
            "we were charged twice for the {month} plan",
            "the invoice of {month} shows a fee that nobody ordered",
            "please refund the payment of {amount} euros from {month}",
            "the discount that your colleague promised is not on the bill",
            "our card was declined although there is money on the account",
            "the tax on invoice {number} is calculated at the wrong rate",
            "I cancelled in {month} and was still billed {amount} euros",
            "can you split the yearly price into monthly payments",
            "the receipt for {amount} euros never arrived in our books",
            "why did the price per seat go up by {amount} in {month}",
        ),
        (
            "Our accountant asks for a corrected document.",
            "The bank says that the debit came from you.",
            "Please credit the difference.",
            "I attach the statement of the card.",
            "Who decides about the refund?",
        ),
    ),
    "bug": (
        (
            "the export stops at row {number} with an empty file",
            "since the update in {month} the calendar shows the wrong day",
            "the page freezes as soon as I press save",
            "pictures above {amount} megabytes come out rotated",
            "the search finds nothing when a name has an accent",
            "the app crashes on start, with error code {number}",
            "numbers in the table jump back after I edit them",
            "two people who edit the same note lose each other's text",
            "the print preview stays blank in every browser",
            "the timer counts backwards after midnight",
        ),
        (
            "It happens every time, on two machines.",
            "Restarting did not help.",
            "A colleague sees the same.",
            "Steps to repeat it are in the attachment.",
            "It worked until last week.",
        ),
    ),
    "account-access": (
        (
            "I cannot sign in since I changed my phone",
            "the reset mail for my password does not arrive",
            "my account is locked after {amount} wrong attempts",
            "a colleague left and we need to remove her access",
            "the code of the second factor is refused as expired",
            "please move the owner role to another member",
            "the invitation link from {month} says that it is no longer valid",
            "single sign-on sends me back to the login page",
            "I no longer have the mail address that I registered with",
            "my user sees {number} projects that it should not see",
        ),
        (
            "I need to get in before noon.",
            "The recovery codes are in the old phone.",
            "Our administrator is on leave.",
            "Nothing is in the spam folder either.",
            "Can you unlock it by hand?",
        ),
    ),
    "feature-request": (
        (
            "it would help to sort the list by colour",
            "please add a dark theme for the evening shift",
            "could reports be sent by mail on the first of {month}",
            "we wish for a keyboard shortcut to close a task",
            "an export to a spreadsheet with {amount} columns would save us hours",
            "will there be an app for tablets one day",
            "please let us write our own templates for replies",
            "we would love to see comments beside each change",
            "can you support more than {number} tags on an item",
            "a way to undo the last step is missing",
        ),
        (
            "Others in our trade ask for it as well.",
            "We would gladly test a first version.",
            "For now we do it by hand.",
            "Is something like that planned?",
            "It would make us stay.",
        ),
    ),
    "shipping": (
        (
            "parcel {number} has not moved for {amount} days",
            "the courier left the box with a neighbour that we do not know",
            "one of the {amount} cartons arrived wet and torn",
            "the delivery address of order {number} has a wrong house number",
            "we got the goods of another customer",
            "customs in {month} want a form that you did not send",
            "the tracking page says delivered, and nothing is here",
            "can order {number} go out before the holidays",
            "two screws and the manual are missing in the package",
            "the pallet was delivered to the old warehouse",
        ),
        (
            "The shop opens on Monday and the shelf is empty.",
            "Please send a replacement.",
            "The driver does not answer.",
            "We have photos of the box.",
            "When will it come?",
        ),
    ),
    OTHER: (
        (
            "what are the opening hours of your showroom in {month}",
            "we would like to invite you to our trade fair, booth {number}",
            "do you take interns for {amount} weeks",
            "I write a school paper about your industry and have {amount} questions",
            "our choir looks for a sponsor of its concert in {month}",
            "is the recipe from your newsletter also good without nuts",
            "the neighbours' hedge grows over your parking lot",
            "who designed the poster in your window",
        ),
        (
            "Thank you for a short answer.",
            "I look forward to hearing from you.",
            "Best wishes from across the street.",
            "Feel free to forward this.",
        ),
    ),
    LATE: (
        (
            "is our kettle of batch {number} among those that may overheat",
            "I read about the safety notice of {month}: do I have to stop using the lamp",
            "the charger from your recall list became hot and smells burnt",
            "where do I send the heater back that the authority warns about",
            "my model's serial number ends in {number}, is it affected by the recall",
            "the plug of the recalled fan melted and I want a safe one",
            "does the warning about the battery also hold for the {month} series",
            "how do I register my device for the safety exchange",
        ),
        (
            "We switched it off at once.",
            "There are children in the house.",
            "The newspaper had a picture of it.",
            "Is it dangerous?",
        ),
    ),
}
OPENINGS = (
    "Hello, ",
    "Good morning, ",
    "Hi there, ",
    "Dear team, ",
    "",
    "",
    "Once more: ",
    "A short one: ",
)
MONTHS = ("January", "March", "May", "July", "September", "November")
SHARES = {
    **{"billing": 5, "bug": 5, "account-access": 4},
    **{"feature-request": 3, "shipping": 4, OTHER: 3},
}


def tickets(count: int, seed: int, late: float = 0.0) -> list[Ticket]:
    """So many, drawn by the seed; `late`: the share that is of the late kind."""
    draw = random.Random(seed)
    kinds, weights = list(SHARES), list(SHARES.values())
    drawn = []
    for _ in range(count):
        kind = LATE if draw.random() < late else draw.choices(kinds, weights)[0]
        drawn.append(Ticket(_text(draw, kind), OTHER if kind == LATE else kind))
    return drawn


def _text(draw: random.Random, kind: str) -> str:
    sayings, closings = KINDS[kind]
    first, second = draw.sample(sayings, 2)
    text = draw.choice(OPENINGS) + _filled(draw, first) + "."
    if draw.random() < 0.35:
        text += " Also, " + _filled(draw, second) + "."
    return f"{text} {draw.choice(closings)}" if draw.random() < 0.8 else text


def _filled(draw: random.Random, saying: str) -> str:
    return saying.format(
        month=draw.choice(MONTHS), amount=draw.randint(2, 480), number=draw.randint(1_000, 99_999)
    )
