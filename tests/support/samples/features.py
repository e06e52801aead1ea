"""Feature files that several tests read; INVOICE uses every key of the docs."""

INVOICE = """\
feature: invoice-fields
description: The fields of one invoice, from its text.
instructions: |
  Extract the invoice's fields.
input:                                  # JSON Schema (2020-12) of a job's input
  type: object
  required: [text]
  properties: {text: {type: string, maxLength: 4000}}
output:                                 # JSON Schema of the answer; {type: string} = plain text
  type: object
  required: [invoice_number, total, currency]
  properties:
    invoice_number: {type: string}
    total: {type: number}
    currency: {type: string, enum: [EUR, USD, SEK]}
examples:
  - input: {text: "..."}
    output: {invoice_number: "A-1", total: 12.5, currency: EUR}
checks:
  - grounded: [invoice_number, total]   # the value stands in the input; 1.250,00 is 1250.0
  - rule: "output.total >= 0"           # CEL over input and output; JSON numbers are doubles
    says: the total cannot be negative  # for the next tier and the caller
confidence: {signal: agreement, samples: 2, threshold: 1.0}    # optional
routing: slm_first                      # or slm_only, frontier_only, and the policies to come
tiers:                                  # in order
  - name: slm
    models: [local:smollm2-135m]        # provider:model, in order of fallback
    max_tokens: 200                     # visible output
    timeout_s: 20
  - name: frontier
    models: [openai:gpt-5]
    instructions: |                     # a tier may have its own prompt
      Read the invoice and return its fields.
    examples:
      - input: {text: "Invoice C-3, 7 EUR"}
        output: {invoice_number: C-3, total: 7, currency: EUR}
"""

STEPS = """\
feature: invoice-steps
instructions: Give the number and the total.
input: {type: object, required: [text], properties: {text: {type: string}}}
output:
  type: object
  required: [number, total]
  properties: {number: {type: string}, total: {type: number}}
tiers:
  - name: slm
    models: [local:smollm2-135m]
    max_tokens: 60
    timeout_s: 5
    steps:
      - name: number
        instructions: Copy the invoice's number.
        output: {type: object, required: [number], properties: {number: {type: string}}}
        max_tokens: 20
        examples:
          - input: {text: Invoice C-3 of 7 EUR}
            output: {number: C-3}
        checks:
          - grounded: [number]
      - name: total
        instructions: Copy the invoice's total.
        output: {type: object, required: [total], properties: {total: {type: number}}}
        checks:
          - rule: output.total > 0.0
            says: a total is over 0
  - name: frontier
    models: [openai:gpt-5]
"""

TRIAGE = """\
feature: triage
instructions: Choose the category of the ticket.
input: {type: object, required: [text], properties: {text: {type: string}}}
output:
  type: object
  required: [category]
  properties:
    category: {type: string, enum: [billing, bug, shipping]}
examples:
  - input: {text: The page freezes.}
    output: {category: bug}
confidence: {signal: label_logprob, threshold: 0.6}
tiers:
  - {name: slm, models: ["local:smollm2-135m"], max_tokens: 10, timeout_s: 5}
"""

SUMMARY = """\
feature: summary
instructions: Write one sentence.
input: {type: object, required: [text], properties: {text: {type: string}}}
output: {type: string}
checks:
  - rule: size(output) <= 40
    says: at most 40 characters
tiers:
  - {name: slm, models: ["local:smollm2-135m"], max_tokens: 10, timeout_s: 5}
"""
