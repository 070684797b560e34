"""Small programs that each leak in exactly one way, with the answer that a report must give.

    python -m examples.leaks              what memscope says of each, beside what is so
    python -m examples.leaks audit_trail  of one, with the whole report

In each file: ``work()`` is one round of traffic, ``work_fixed()`` the same with the leak
repaired, ``leaked()`` counts what has piled up (without memscope), ``EXPECTED`` is the
answer, and ``# leaks`` stands on the line that allocates what leaks.
"""
