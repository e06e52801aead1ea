"""Commands that report: costs, economics, advice, replays."""
