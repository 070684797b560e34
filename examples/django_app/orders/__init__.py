"""The shop: project and app in one."""
