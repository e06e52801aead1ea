"""How soon `tierline up` says that everything answers."""
