"""memscope: what is growing in this process, which line allocated it, and who holds it.

    import memscope
    memscope.start()
    before = memscope.take_snapshot()
    ...
    memscope.take_snapshot().compare_to(before, "lineno").show()

    memscope.take_heap_snapshot().paths_to_root(obj).show()

Every public name of tracemalloc and of objgraph is here with its meaning, and more:
``memscope.tracing`` says what is different in the first half, ``memscope.tracemalloc``
is without the differences; ``memscope.heap`` is the second half in its own words,
``memscope.objgraph`` in objgraph's.

Importing the package loads and starts nothing else: every name is fetched from
its module when it is first used.
"""

TYPE_CHECKING = False  # to type checkers it is true; the typing module is slow to import
if TYPE_CHECKING:
    from memscope import doctor, heap, leaks, objgraph, tracemalloc, tracing
    from memscope.heap import HeapSnapshot, take_heap_snapshot
    from memscope.leak_report import Leak, LeakReport
    from memscope.leaks import LeakError, Watch, diagnose, watch
    from memscope.objgraph import (
        at,
        at_addrs,
        by_type,
        count,
        find_backref_chain,
        find_ref_chain,
        get_leaking_objects,
        get_new_ids,
        growth,
        is_proper_module,
        most_common_types,
        show_backrefs,
        show_chain,
        show_growth,
        show_most_common_types,
        show_refs,
        typestats,
    )
    from memscope.process import ProcessMemory, process_memory
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
    from memscope.why import WhyAlive, why_alive

__version__ = "0.1.0"

__all__ = [
    "BaseFilter",
    "DomainFilter",
    "Filter",
    "Frame",
    "GroupStatistic",
    "GroupStatisticDiff",
    "HeapSnapshot",
    "Leak",
    "LeakError",
    "LeakReport",
    "ModuleFilter",
    "MyCodeFilter",
    "ProcessMemory",
    "Snapshot",
    "Statistic",
    "StatisticDiff",
    "StatisticDiffs",
    "Statistics",
    "Trace",
    "Traceback",
    "Watch",
    "WhyAlive",
    "__version__",
    "advance_epoch",
    "at",
    "at_addrs",
    "by_type",
    "clear_traces",
    "count",
    "diagnose",
    "doctor",
    "find_backref_chain",
    "find_ref_chain",
    "get_epoch",
    "get_leaking_objects",
    "get_new_ids",
    "get_object_traceback",
    "get_traceback_limit",
    "get_traced_memory",
    "get_tracemalloc_memory",
    "growth",
    "heap",
    "is_proper_module",
    "is_tracing",
    "leaks",
    "most_common_types",
    "objgraph",
    "process_memory",
    "reset_peak",
    "show_backrefs",
    "show_chain",
    "show_growth",
    "show_most_common_types",
    "show_refs",
    "start",
    "status",
    "stop",
    "take_heap_snapshot",
    "take_snapshot",
    "tracemalloc",
    "tracing",
    "typestats",
    "watch",
    "why_alive",
]

if not TYPE_CHECKING:
    MODULES = ("doctor", "heap", "leaks", "objgraph", "tracemalloc", "tracing")
    HOMES = {
        "HeapSnapshot": "heap",
        "take_heap_snapshot": "heap",
        "Leak": "leak_report",
        "LeakReport": "leak_report",
        "LeakError": "leaks",
        "Watch": "leaks",
        "diagnose": "leaks",
        "watch": "leaks",
        "ProcessMemory": "process",
        "process_memory": "process",
        "WhyAlive": "why",
        "why_alive": "why",
    }
    OBJGRAPH = """
        at at_addrs by_type count find_backref_chain find_ref_chain get_leaking_objects get_new_ids
        growth is_proper_module most_common_types show_backrefs show_chain show_growth
        show_most_common_types show_refs typestats
    """.split()

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        if name in MODULES:
            return import_module(f"{__name__}.{name}")
        home = HOMES.get(name) or ("objgraph" if name in OBJGRAPH else "tracing")
        value = getattr(import_module(f"{__name__}.{home}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
