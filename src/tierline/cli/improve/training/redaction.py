"""Masks personal data with Presidio (microsoft.github.io/presidio), if its extra is installed.

It finds data with a known pattern: e-mail addresses, card, phone and account numbers, IP addresses.
With spaCy's en_core_web_lg it finds names and places too. It misses some of both, so a person must
check a masked dataset before it leaves the company.
"""

import logging
from typing import Any

from tierline.base.errors import TierlineError
from tierline.base.json_text import JSON

LANGUAGE = "en"
NAMES_MODEL = "en_core_web_lg"


class Redactor:
    """Masks each text in a JSON value. `names`: whether it also finds names."""

    def __init__(self) -> None:
        """Raises TierlineError if Presidio is not installed."""
        try:
            import spacy
            from presidio_analyzer import AnalyzerEngine
            from presidio_analyzer.nlp_engine import SpacyNlpEngine
            from presidio_anonymizer import AnonymizerEngine
        except ImportError as missing:
            raise TierlineError(
                f"--redact needs the extra `redaction` ({missing.name} is missing): pip install "
                "'tierline[redaction]'"
            ) from None
        # tldextract tries to download a list of domains. It works without, but would log that.
        logging.getLogger("tldextract").setLevel(logging.CRITICAL)
        self.names = bool(spacy.util.is_package(NAMES_MODEL))
        engine: Any = SpacyNlpEngine([{"lang_code": LANGUAGE, "model_name": NAMES_MODEL}])
        engine.nlp = {LANGUAGE: spacy.load(NAMES_MODEL) if self.names else spacy.blank(LANGUAGE)}
        self._analyzer: Any = AnalyzerEngine(nlp_engine=engine, supported_languages=[LANGUAGE])
        self._anonymizer: Any = AnonymizerEngine()

    def masked(self, value: JSON) -> JSON:
        """The value with each match replaced by its kind, such as <EMAIL_ADDRESS> or <PERSON>."""
        if isinstance(value, str):
            entities = self._analyzer.analyze(text=value, language=LANGUAGE)
            return str(self._anonymizer.anonymize(text=value, analyzer_results=entities).text)
        if isinstance(value, list):
            return [self.masked(item) for item in value]
        if isinstance(value, dict):
            return {key: self.masked(item) for key, item in value.items()}
        return value
