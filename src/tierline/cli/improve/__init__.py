"""Commands that measure a feature and make it cheaper or better."""
