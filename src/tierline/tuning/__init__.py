"""Fine-tuning at a provider: `cost` estimates it, `openai` calls the API.

Mistral's API for it is deprecated (docs.mistral.ai) and no longer in its client. The other targets
of an export have their own consoles and trainers.
"""
