"""The first thing that runs in a program under ``memscope run``.

The interpreter imports a module of this name before any program.  So the program itself
is started by the interpreter as ever, with nothing of ours below it on the stack, whether
it is a file, a module, a command, a folder or a zip file.

This leaves the process as it would be without it: no variable, no path, no module, and a
sitecustomize that the machine has is imported as if this were not here.
"""

import os
import sys


def _begin() -> None:
    # A subinterpreter comes by here too, with our folder in its path and without settings.
    folder = os.path.dirname(__file__)
    sys.path[:] = [path for path in sys.path if path != folder]
    sys.path_importer_cache.pop(folder, None)
    packed = os.environ.pop("MEMSCOPE_RUN", None)
    if packed is None:
        return
    # Of what every interpreter has loaded, the one that takes any text and is no module that
    # the program could mean its own by.
    import marshal

    settings = marshal.loads(bytes.fromhex(packed))
    if settings["pythonpath"] is None:
        os.environ.pop("PYTHONPATH", None)
    else:
        os.environ["PYTHONPATH"] = settings["pythonpath"]
    loaded = set(sys.modules)
    # Only for the package itself, which imports nothing: whatever else lies in that folder
    # must not come before the standard library.
    sys.path.insert(0, settings["root"])
    try:
        import memscope  # noqa: F401
    finally:
        sys.path.remove(settings["root"])
    from memscope import session

    session.begin(settings)
    # What we have loaded must not come before a module that the program has of the same name.
    own = settings["folder"]
    for name in set(sys.modules) - loaded if own else ():
        path = os.path.join(own, name.partition(".")[0])
        if not name.startswith("memscope") and (
            os.path.isdir(path) or os.path.isfile(f"{path}.py")
        ):
            del sys.modules[name]


try:
    _begin()
except Exception as error:
    print(f"memscope: the program runs without a report: {error!r}", file=sys.stderr)
finally:
    del _begin, sys.modules[__name__]

# If there is none, the error says so of this very name, which is what the interpreter expects.
import sitecustomize  # noqa: E402, F401
