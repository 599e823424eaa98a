"""The databases of the contract suite."""

from tests.contracts.database.conftest import postgres

__all__ = ["postgres"]
