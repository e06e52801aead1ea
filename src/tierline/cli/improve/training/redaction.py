"""Masking personal data by Presidio (microsoft.github.io/presidio), where its extra is installed.

With spaCy's en_core_web_lg it finds names and places too; without it what follows a pattern: mail
addresses, numbers of cards, phones and accounts, addresses of machines. It misses some of either: a
masked dataset is still to be looked through by a person before it leaves the house.
"""

import logging
from typing import Any

from tierline.base.errors import TierlineError
from tierline.base.json_text import JSON

LANGUAGE = "en"
NAMES_MODEL = "en_core_web_lg"


class Redactor:
    """Masks each text of a JSON value; `names`: whether it looks for names."""

    def __init__(self) -> None:
        """Raises TierlineError where Presidio is not installed."""
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
        # It asks for a list of domains, does without it, and would print why.
        logging.getLogger("tldextract").setLevel(logging.CRITICAL)
        self.names = bool(spacy.util.is_package(NAMES_MODEL))
        engine: Any = SpacyNlpEngine([{"lang_code": LANGUAGE, "model_name": NAMES_MODEL}])
        engine.nlp = {LANGUAGE: spacy.load(NAMES_MODEL) if self.names else spacy.blank(LANGUAGE)}
        self._analyzer: Any = AnalyzerEngine(nlp_engine=engine, supported_languages=[LANGUAGE])
        self._anonymizer: Any = AnonymizerEngine()

    def masked(self, value: JSON) -> JSON:
        """The value with <EMAIL_ADDRESS>, <PERSON> and the like in the place of what was found."""
        if isinstance(value, str):
            found = self._analyzer.analyze(text=value, language=LANGUAGE)
            return str(self._anonymizer.anonymize(text=value, analyzer_results=found).text)
        if isinstance(value, list):
            return [self.masked(item) for item in value]
        if isinstance(value, dict):
            return {key: self.masked(item) for key, item in value.items()}
        return value
