"""Commands that submit and follow jobs."""
