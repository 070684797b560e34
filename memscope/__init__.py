"""memscope: what is growing in this process, and which line allocated it.

    import memscope
    memscope.start()
    before = memscope.take_snapshot()
    ...
    memscope.take_snapshot().compare_to(before, "lineno").show()

Every public name of tracemalloc is here with its meaning, and more:
``memscope.tracing`` says what is different, ``memscope.tracemalloc`` is without
the differences.

Importing the package loads and starts nothing else: every name is fetched from
its module when it is first used.
"""

TYPE_CHECKING = False  # to type checkers it is true; the typing module is slow to import
if TYPE_CHECKING:
    from memscope import doctor, tracemalloc, tracing
    from memscope.tracing import (
        BaseFilter,
        DomainFilter,
        Filter,
        Frame,
        GroupStatistic,
        GroupStatisticDiff,
        ModuleFilter,
        MyCodeFilter,
        Snapshot,
        Statistic,
        StatisticDiff,
        StatisticDiffs,
        Statistics,
        Trace,
        Traceback,
        advance_epoch,
        clear_traces,
        get_epoch,
        get_object_traceback,
        get_traceback_limit,
        get_traced_memory,
        get_tracemalloc_memory,
        is_tracing,
        reset_peak,
        start,
        status,
        stop,
        take_snapshot,
    )

__version__ = "0.1.0"

__all__ = [
    "BaseFilter",
    "DomainFilter",
    "Filter",
    "Frame",
    "GroupStatistic",
    "GroupStatisticDiff",
    "ModuleFilter",
    "MyCodeFilter",
    "Snapshot",
    "Statistic",
    "StatisticDiff",
    "StatisticDiffs",
    "Statistics",
    "Trace",
    "Traceback",
    "__version__",
    "advance_epoch",
    "clear_traces",
    "doctor",
    "get_epoch",
    "get_object_traceback",
    "get_traceback_limit",
    "get_traced_memory",
    "get_tracemalloc_memory",
    "is_tracing",
    "reset_peak",
    "start",
    "status",
    "stop",
    "take_snapshot",
    "tracemalloc",
    "tracing",
]

if not TYPE_CHECKING:

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        if name in ("doctor", "tracemalloc", "tracing"):
            return import_module(f"{__name__}.{name}")
        value = getattr(import_module(f"{__name__}.tracing"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
