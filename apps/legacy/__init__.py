"""An old Django project, mounted as it is: an inventory that people look at, and an admin to keep it.

Its commands run from the folder of config.yaml; the superuser for the admin, for example, is made by::

    python -m apps.legacy.manage migrate
    python -m apps.legacy.manage createsuperuser

or without questions, with ``DJANGO_SUPERUSER_USERNAME``, ``DJANGO_SUPERUSER_EMAIL`` and ``DJANGO_SUPERUSER_PASSWORD``
in the environment, by ``createsuperuser --noinput``.
"""
