"""Fine-tuning at a provider: `cost` reckons beforehand, `openai` speaks to its API.

Mistral's API for it is deprecated (docs.mistral.ai), and its client has lost it; the others that an
export is written for have consoles and trainers of their own.
"""
