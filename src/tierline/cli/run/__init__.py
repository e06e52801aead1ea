"""Commands that run jobs and watch them."""
