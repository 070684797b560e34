"""Runs the interpreter's own test.test_tracemalloc against memscope.tracemalloc.

    python tests/compat/run_stdlib.py

The test module finds the drop-in under the name ``tracemalloc``.  Left out are the
classes that never reach it: TestCommandLine looks at ``-X tracemalloc`` in
other processes, TestCAPI at the interpreter's own tables through _testcapi.

Exit status: 0 exactly the expected tests ran and passed; 1 they did not; 77 this
interpreter comes without its tests.
"""

from __future__ import annotations

import os
import sys
import tempfile
import unittest

EXPECTED = {"TestTraceback": 1, "TestSnapshot": 13, "TestFilters": 5, "TestTracemallocEnabled": 14}
NOT_SHIPPED = 77

LEFT_OUT: dict[str, str] = {}
if sys.version_info < (3, 13):
    LEFT_OUT["test_new_reference"] = (
        "before Python 3.13 the interpreter tells only its own tracemalloc"
        " that an object was made from a free list"
    )


def main() -> int:
    try:
        import test.support
    except ImportError as error:
        print(f"skipped: this interpreter comes without its test package: {error}")
        return NOT_SHIPPED
    from memscope import tracemalloc

    sys.modules["tracemalloc"] = tracemalloc
    try:
        from test import test_tracemalloc
    except ImportError as error:
        print(f"skipped: this interpreter comes without test.test_tracemalloc: {error}")
        return NOT_SHIPPED
    assert test_tracemalloc.tracemalloc is tracemalloc

    # Suites within a suite, as unittest itself nests them: test_snapshot wants a
    # stack deeper than ten frames.
    suite = unittest.TestSuite()
    for name, count in EXPECTED.items():
        tests = unittest.defaultTestLoader.loadTestsFromTestCase(getattr(test_tracemalloc, name))
        assert tests.countTestCases() == count, (name, tests.countTestCases())
        kept = []
        for test in tests:
            assert isinstance(test, unittest.TestCase)
            if reason := LEFT_OUT.get(test._testMethodName):
                print(f"left out: {test.id()}: {reason}")
            else:
                kept.append(test)
        suite.addTest(unittest.TestSuite([unittest.TestSuite(kept)]))
    expected = suite.countTestCases()

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # the tests write files where they are
        result = unittest.TextTestRunner(sys.stdout, verbosity=2).run(suite)
        os.chdir("/")
    own = sys.modules.get("_tracemalloc")
    assert own is None or not own.is_tracing(), "the interpreter's tracemalloc was used"
    assert not result.skipped, result.skipped
    print(f"{result.testsRun} of {expected} expected tests ran on Python {sys.version.split()[0]}")
    return 0 if result.wasSuccessful() and result.testsRun == expected else 1


if __name__ == "__main__":
    sys.exit(main())
