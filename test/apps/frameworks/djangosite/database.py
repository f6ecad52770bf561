"""Makes db.sqlite3 in the current directory, with the user admin."""

import os

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "frameworks.djangosite.settings"
django.setup()

from django.contrib.auth.models import User
from django.core.management import call_command

call_command("migrate", verbosity=0)
User.objects.create_superuser("admin", password="secret")
