"""Not a package to import: the folder that ``memscope run`` puts before PYTHONPATH."""
