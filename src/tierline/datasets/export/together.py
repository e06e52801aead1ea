"""Together's conversational format: `{"messages": [...]}` per line. It begins with a system or user
turn, and user and assistant alternate (docs.together.ai, fine-tuning data preparation).
"""

from tierline.datasets.export import openai

FEWEST = 1
row = openai.row
faults = openai.faults
