"""Speed, each against a yardstick in the same run, as a ratio: machines differ, ratios less so."""
