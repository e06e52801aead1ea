"""An hour of a real service's requests, against the whole product."""
