"""Side-by-side measurements of memscope, tracemalloc and memray; see README.md."""
