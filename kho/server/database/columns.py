"""What columns are made of, in both databases; the tables are in `schema.py`."""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Identity,
    Integer,
    MetaData,
    Text,
)

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)

Bytewise = Text().with_variant(Text(collation="C"), "postgresql")
Whole = BigInteger().with_variant(Integer(), "sqlite")

STRICT: Final[dict[str, Any]] = {"sqlite_strict": True}
BY_KEY: Final[dict[str, Any]] = {"sqlite_strict": True, "sqlite_with_rowid": False}


def identity() -> Column[int]:
    """The number of a row."""
    return Column("id", Whole, Identity(), primary_key=True)


def repository(*, primary_key: bool = False) -> Column[int]:
    """The repository that the row belongs to."""
    return Column(
        "repository_id",
        Whole,
        ForeignKey("repositories.id"),
        primary_key=primary_key,
        nullable=False,
    )


def required(name: str, *, key: bool = False) -> Column[str]:
    """Text that is compared by bytes."""
    return Column(name, Bytewise, primary_key=key, nullable=False)


def at(name: str) -> Column[int]:
    """A moment, in milliseconds since the epoch."""
    return Column(name, Whole, nullable=False)


def counted(name: str) -> Column[int]:
    """A number that begins with 0."""
    return Column(name, Whole, nullable=False, server_default="0")
