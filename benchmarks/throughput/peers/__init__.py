"""The benchmark's job, written by hand for other job systems: one file for each.

They run in an environment of their own (`make peers`), so nothing here imports tierline. Each file
has the same two functions:

- `publish(ids)`: empties its queue and puts one message a job there;
- `work(threads)`: runs that many jobs at once in this process, until it is ended.
"""

NAMES = ("dramatiq", "taskiq", "huey", "arq", "procrastinate", "pgqueuer")
"""In the order of their turns. Their modules are `peer_<name>`, because `<name>` is the library."""
