"""What an examination finds: steps with a verdict, plain words, and what to do about it."""

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """How a step ended; the word is what is printed."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line; `error` is what went wrong, where it was an error of the wire."""

    step: str
    verdict: Verdict
    told: str
    advice: str | None = None
    error: Exception | None = None


def ok(step: str, told: str) -> Finding:
    """As it should be."""
    return Finding(step, Verdict.OK, told)


def warn(step: str, told: str, advice: str | None = None) -> Finding:
    """It works, or may be meant."""
    return Finding(step, Verdict.WARN, told, advice)


def fail(
    step: str, told: str, advice: str | None = None, error: Exception | None = None
) -> Finding:
    """It does not work."""
    return Finding(step, Verdict.FAIL, told, advice, error)
