"""The routes of the console, a file for each page."""
