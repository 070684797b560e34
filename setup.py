"""The C core; everything else about the project is in pyproject.toml.

MEMSCOPE_DEBUG=1 keeps asserts, MEMSCOPE_SANITIZE=1 adds ASan and UBSan, MEMSCOPE_WERROR=1 -Werror.
"""

from concurrent.futures import ThreadPoolExecutor
from glob import glob
from itertools import chain
from os import environ

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SANITIZE = environ.get("MEMSCOPE_SANITIZE", "0") != "0"
DEBUG = SANITIZE or environ.get("MEMSCOPE_DEBUG", "0") != "0"
WERROR = DEBUG or environ.get("MEMSCOPE_WERROR", "0") != "0"
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"] * SANITIZE
FLAGS = ["-std=c11", "-D_DEFAULT_SOURCE", "-Wall", "-Wextra", "-fvisibility=hidden", "-fno-plt"]
FLAGS += ["-Werror"] * WERROR + SANITIZERS
FLAGS += ["-O1", "-g", "-fno-omit-frame-pointer", "-UNDEBUG"] if DEBUG else ["-O2"]
MSVC_FLAGS = ["/std:c11", "/W3", *["/WX"] * WERROR, *(["/Od", "/UNDEBUG"] if DEBUG else ["/O2"])]


class BuildExt(build_ext):
    def build_extension(self, ext):
        """Compile the files in parallel: setuptools' own --parallel is by extension."""
        ext.define_macros = [("MEMSCOPE_VERSION", f'"{self.distribution.get_version()}"')]
        ext.extra_compile_args = MSVC_FLAGS if self.compiler.compiler_type == "msvc" else FLAGS
        one, pool = self.compiler.compile, ThreadPoolExecutor()
        self.compiler.compile = lambda files, **options: [
            *chain(*pool.map(lambda file: one([file], **options), files))
        ]
        super().build_extension(ext)


C, H = (sorted(glob(f"src/_memscope/**/*.{ext}", recursive=True)) for ext in "ch")
CORE = Extension("memscope._memscope", C, ["src/_memscope"], extra_link_args=SANITIZERS, depends=H)
setup(ext_modules=[CORE], cmdclass={"build_ext": BuildExt})
