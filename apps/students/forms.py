"""What a form may send: each mistake is told beside its field, and what was typed stays."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
EARLIEST = date(1900, 1, 1)


@dataclass
class StudentForm:
    """The fields as they were typed, and what is wrong with them."""

    name: str = ""
    email: str = ""
    enrolled: str = ""
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, sent: Mapping[str, str]) -> StudentForm:
        name, email, enrolled = (sent.get(key, "").strip() for key in ("name", "email", "enrolled"))
        form = cls(name, email, enrolled)
        found = {
            "name": _wrong_text(name, 100),
            "email": _wrong_text(email, 254) or _wrong_email(email),
            "enrolled": _wrong_date(enrolled),
        }
        form.errors = {key: what for key, what in found.items() if what}
        return form

    def values(self) -> dict[str, str | date]:
        """The columns of a student; only for a form without errors."""
        return {"name": self.name, "email": self.email.lower(), "enrolled": date.fromisoformat(self.enrolled)}


def _wrong_text(text: str, most: int) -> str:
    if not text:
        return "Please fill this in."
    if len(text) > most:
        return f"At most {most} characters, please."
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in text):
        return "This has characters that cannot be shown."
    return ""


def _wrong_email(text: str) -> str:
    return "" if EMAIL.fullmatch(text) else "This is no e-mail address."


def _wrong_date(text: str) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return "Please give a day, such as 2026-10-01."
    return "" if day >= EARLIEST else f"Nobody here enrolled before {EARLIEST.year}."
