"""Which tier answers: policies, and the statistics behind them. No I/O."""
