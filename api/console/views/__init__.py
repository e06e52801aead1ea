"""Pure functions from rows to what the console's templates show."""
