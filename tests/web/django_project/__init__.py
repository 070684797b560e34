"""A Django project for tests: views of every kind, some of which keep what they should not.

Its settings are those of an in-process test; a process of its own sets MEMSCOPE_TEST_* in the
environment.
"""
