"""How to find a leak, in recipes of a few lines; each is a program that runs.

    python -m examples.recipes.two_snapshots

The service that leaks is one of examples.leaks: put your own in its place.
"""
