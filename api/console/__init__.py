"""The console: the product in a browser, for people who never open a terminal.

Routes are thin and call services as the routes of the API do; `views/` holds pure functions from
rows to what a template shows. Pages are rendered on the server and read without JavaScript.
"""
