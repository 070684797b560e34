"""Programs to learn from: a leaky service, leaks of every kind, and what is not one."""
