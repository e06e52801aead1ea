"""The feature files that `tierline features init --template` writes. Each runs unchanged."""

NAMES = ("classify", "extract", "extract-items", "summarise", "moderate")

_HEAD = """\
# yaml-language-server: $schema={schema}
# Check this file: tierline features validate {file}
# Run its cases:   tierline features test {file}
# Apply it:        tierline features apply {file}
feature: {name}
"""
_TEXT_INPUT = """\
input:
  type: object
  additionalProperties: false
  required: [text]
  properties:
    text: {type: string, minLength: 1, maxLength: 4000}
"""
_TIERS = """\
tiers:
  - name: slm
    models: [local:smollm2-135m]
    max_tokens: @tokens@
    timeout_s: 60
  # The second tier, shown as "running deeper analysis…":
  # - name: frontier
  #   models: [openai:gpt-6.1-sol]      # needs OPENAI_API_KEY in the workers' environment
  #   max_tokens: @tokens@
  #   timeout_s: 60
"""
_BODIES = {
    "classify": """\
description: Which team a customer's message is for.
instructions: |
  Say which team the customer's message is for: billing, delivery or other.
@input@
output:
  type: object
  additionalProperties: false
  required: [team]
  properties:
    team: {type: string, enum: [billing, delivery, other]}

examples:
  - input: {text: I was charged twice for my last order.}
    output: {team: billing}
  - input: {text: The parcel has not arrived yet.}
    output: {team: delivery}

# How sure the model is of its label; less goes to the next tier.
confidence: {signal: label_logprob, threshold: 0.6}

cases:
  - input: {text: "Please send me the invoice of May."}
    expected: {team: billing}
  - input: {text: "Where is my parcel?"}
    expected: {team: delivery}
  - name: neither of the two
    input: {text: "Do you have this in blue?"}
    expected: {team: other}
""",
    "extract": """\
description: The fields of one invoice, from its text.
instructions: |
  Extract the invoice's number, date, total and currency. Write the date as YYYY-MM-DD.
@input@
output:
  type: object
  additionalProperties: false
  required: [invoice_number, date, total, currency]
  properties:
    invoice_number: {type: string, minLength: 1, maxLength: 40}
    date: {type: string, format: date}
    total: {type: number}
    currency: {type: string, enum: [EUR, USD, GBP]}

examples:
  - input: {text: "Invoice A-77 of 1 March 2026. Total: 1.250,00 EUR"}
    output: {invoice_number: A-77, date: "2026-03-01", total: 1250, currency: EUR}

checks:
  - grounded: [invoice_number, date, total]   # each value is in the input
  - rule: "output.total >= 0"
    says: the total cannot be negative

cases:
  - input: {text: "INVOICE B-12, 05.04.2026, to pay USD 99.50"}
    expected: {invoice_number: B-12, date: "2026-04-05", total: 99.5, currency: USD}
  - name: no invoice at all
    input: {text: "Thank you for your visit."}
    served: false
""",
    "extract-items": """\
description: The lines of one order, with their sum.
instructions: |
  List each article of the order with its quantity and amount, and give the total.
@input@
output:
  type: object
  additionalProperties: false
  required: [items, total]
  properties:
    items:
      type: array
      minItems: 1
      maxItems: 50
      items:
        type: object
        additionalProperties: false
        required: [article, quantity, amount]
        properties:
          article: {type: string, minLength: 1, maxLength: 100}
          quantity: {type: integer, minimum: 1}
          amount: {type: number}
    total: {type: number}

examples:
  - input: {text: "2 lamps 80.00, 1 chair 45.50. Total 125.50"}
    output:
      items:
        - {article: lamps, quantity: 2, amount: 80}
        - {article: chair, quantity: 1, amount: 45.5}
      total: 125.5

checks:
  - grounded: [items[].article, items[].amount, total]
  - rule: "round(abs(sum(output.items.map(i, i.amount)) - output.total), 2) <= 0.01"
    says: the lines do not add up to the total

cases:
  - input: {text: "3 mugs 21.00, 2 plates 18.00. Total 39.00"}
    expected:
      items:
        - {article: mugs, quantity: 3, amount: 21}
        - {article: plates, quantity: 2, amount: 18}
      total: 39
  - name: lines that do not add up
    input: {text: "3 mugs 21.00, 2 plates 18.00. Total 40.00"}
    served: false
""",
    "summarise": """\
description: A customer's message in one sentence.
instructions: |
  Say in one sentence what the customer wants. Do not add anything.
@input@
output: {type: string, minLength: 1, maxLength: 300}

examples:
  - input: {text: "Hi, I ordered two lamps last week and one came broken. Can you send another?"}
    output: The customer wants a replacement for a lamp that arrived broken.

checks:
  - rule: "size(output) < 300 && !output.contains('\\\\n')"
    says: a summary is one line of fewer than 300 characters

cases:
  - input: {text: "My invoice has the wrong address. Please correct it and send it again."}
    rule: "output.contains('address') || output.contains('invoice')"
    says: the summary names what is wrong
""",
    "moderate": """\
description: Whether a comment may be shown.
instructions: |
  Say whether the comment may be shown to everybody. It may not if it insults or threatens somebody,
  or advertises something. If you are not sure, say review.
@input@
output:
  type: object
  additionalProperties: false
  required: [decision]
  properties:
    decision: {type: string, enum: [allow, block, review]}

examples:
  - input: {text: "Great article, thank you."}
    output: {decision: allow}
  - input: {text: You are an idiot.}
    output: {decision: block}

confidence: {signal: label_logprob, threshold: 0.7}

cases:
  - input: {text: "I do not agree, but it is well written."}
    expected: {decision: allow}
  - input: {text: "Buy cheap watches now."}
    expected: {decision: block}
  - name: what a person has to decide
    input: {text: "I know where you live."}
    rule: "output.decision != 'allow'"
    says: a possible threat is not shown
""",
}
_TOKENS = {"classify": 20, "extract": 120, "extract-items": 400, "summarise": 120, "moderate": 20}


def from_template(template: str, name: str, file: str, schema: str) -> str:
    """A new feature file. `schema`: the address or path of the schema for editors."""
    body = _BODIES[template].replace("@input@\n", f"\n{_TEXT_INPUT}\n")
    tiers = _TIERS.replace("@tokens@", str(_TOKENS[template]))
    return f"{_HEAD.format(schema=schema, file=file, name=name)}{body}\n{tiers}"
