"""Small programs that look as if they leaked, and do not: no report may name them.

    python -m examples.corpus not_leaks.warm_up

In each file: ``work()`` is one round of traffic; ``size()`` counts what looks as if it piled up,
and ``LIMIT`` is what it never exceeds.
"""
