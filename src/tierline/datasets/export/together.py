"""Together's conversational form: `{"messages": [...]}` a line, which a system or user turn begins
and where user and assistant alternate (docs.together.ai, fine-tuning data preparation).
"""

from tierline.datasets.export import openai

FEWEST = 1
row = openai.row
faults = openai.faults
