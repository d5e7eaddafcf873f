"""Student 42 is ``S00042`` in every URL and on every page."""

from __future__ import annotations

from werkzeug.routing import BaseConverter, ValidationError


class StudentNumber(BaseConverter):
    """Turns ``S00042`` in a URL into 42 and back; any other spelling of the number is no URL of ours."""

    regex = "S[0-9]{5,9}"

    def to_python(self, value: str) -> int:
        number = int(value[1:])
        if value != shown(number):
            raise ValidationError
        return number

    def to_url(self, value: int) -> str:
        return shown(value)


def shown(number: int) -> str:
    """The number as people write it."""
    return f"S{number:05}"
