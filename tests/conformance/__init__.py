"""What is sent and read, held against the vendors' own clients."""

import pytest

pytest.register_assert_rewrite("tests.conformance.exchange")
