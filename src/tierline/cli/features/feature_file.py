"""The feature file that `tierline features init` writes. It runs unchanged and has comments."""

TEMPLATE = """\
# A feature is one narrow task: what goes in, what must come out, how an answer is checked, and
# which models answer, cheapest first. Check this file: tierline features validate {file}
# Add it to the installation:                           tierline features apply {file}
# Try it: tierline jobs submit {name} --input '{{"text": "Order ZK-4410 is late."}}' --wait 30
feature: {name}
description: The order number that a customer's message is about.

# What every model is told. Keep it short and concrete; the schema and the examples do the rest.
instructions: |
  Find the order number in the customer's message. Copy it exactly as it is written.

# JSON Schema (2020-12) of a job's input. An input that does not fit is refused.
input:
  type: object
  additionalProperties: false
  required: [text]
  properties:
    text: {{type: string, minLength: 1, maxLength: 4000}}

# JSON Schema of the answer. Models that can are held to it while they write, and it is checked
# all the same. `output: {{type: string}}` would be plain text.
output:
  type: object
  additionalProperties: false
  required: [order_number]
  properties:
    order_number: {{type: string, minLength: 1, maxLength: 40}}

# Shown to the model before the real input. One or two are worth more than long instructions.
examples:
  - input: {{text: "Hello, parcel for order AB-1093 never came. Can you check? Thanks"}}
    output: {{order_number: AB-1093}}
  - input: {{text: "I would like to return two shirts. Order no. 77120, bought in May."}}
    output: {{order_number: "77120"}}

# An answer that fails a check is not served. The job goes to the next tier, which is told
# what was wrong, and from the last tier it ends as failed.
checks:
  - grounded: [order_number]            # the value stands in the input
  - rule: "output.order_number.matches('[0-9]')"   # CEL over `input` and `output`
    says: an order number has at least one digit   # told to the next tier and to the caller

# What must come of some inputs, edge cases above all: tierline features test {file}
cases:
  - input: {{text: Order ZK-4410 arrived broken.}}
    expected: {{order_number: ZK-4410}}
  - name: no number at all
    input: {{text: I have a question about my order.}}
    served: false                       # no answer is right: each has to fail a check

# How sure a tier must be. Two answers at temperature 0.7 have to agree:
# confidence: {{signal: agreement, samples: 2, threshold: 1.0}}
# For an answer that is one of a fixed list (an enum), the label's own probability:
# confidence: {{signal: label_logprob, threshold: 0.6}}

routing: slm_first                      # or slm_only, frontier_first, frontier_only

# How long inputs and outputs are kept, in days from a job's end. Default: for ever.
# retention: {{inputs_days: 30, outputs_days: 90, keep_labelled: true}}

tiers:
  - name: slm
    models: [local:smollm2-135m]        # provider:model, in order of fallback
    max_tokens: 60                      # of the visible answer
    timeout_s: 60                       # one call, from connecting to the last byte
    # reask: true                       # one corrective question on this tier before moving on
  # The second tier, shown as "running deeper analysis…". Use one of these:
  # - name: frontier
  #   models: [openai:gpt-6.1-sol]      # needs OPENAI_API_KEY; OPENAI_BASE_URL for other servers
  #   max_tokens: 200
  #   timeout_s: 60
  # - name: frontier
  #   models: [local:qwen2.5-coder-1.5b]  # a larger local model: tierline models fetch
  #   max_tokens: 60
  #   timeout_s: 60
"""


def new_feature(name: str, file: str) -> str:
    """The text of a new feature called `name`, to be kept in `file`."""
    return TEMPLATE.format(name=name, file=file)
