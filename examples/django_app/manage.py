"""A small shop in Django.  Three of its pages are honest about memory; one is not.

    python manage.py migrate
    python manage.py runserver

Ask for /customers/1/orders/ some dozen times, and look at http://127.0.0.1:8000/_memscope/
(the log of runserver says with which token), or let the command do both:

    python manage.py memscope check-route /customers/1/orders/
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orders.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
