"""Rows of trust rules: which workloads come in as which robot."""

import json
from typing import Any, Final, NamedTuple

import sqlalchemy
from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from kho.server.database.constructs import Now
from kho.server.database.engine import Transaction
from kho.server.database.identities import revisions
from kho.server.database.schema import trust_rules
from kho.server.database.statement import Row, Statement
from kho.server.policy.trust import Rule

_table = trust_rules.c
_COLUMNS: Final = (
    *(_table.name, _table.issuer, _table.audience, _table.conditions),
    *(_table.robot, _table.jwks_url, _table.created_at),
)
_OF_NAME: Final = _table.name == bindparam("of")

_ALL: Final = Statement(select(*_COLUMNS).order_by(_table.name))
_FIND: Final = Statement(select(*_COLUMNS).where(_OF_NAME))
_INSERT: Final = Statement(
    insert(trust_rules)
    .values(**{column.name: bindparam(column.name) for column in _COLUMNS[:-1]}, created_at=Now())
    .on_conflict_do_nothing()
    .returning(_table.name)
)
_DELETE: Final = Statement(sqlalchemy.delete(trust_rules).where(_OF_NAME))


class TrustRow(NamedTuple):
    """A rule and when it was made, in milliseconds."""

    rule: Rule
    created_at: int


async def every(tx: Transaction) -> list[TrustRow]:
    """All rules, by name: there are as many as an operator writes."""
    return [_rule(row) for row in await tx.all(_ALL)]


async def find(tx: Transaction, name: str) -> TrustRow | None:
    """The rule of that name."""
    row = await tx.one(_FIND, of=name)
    return None if row is None else _rule(row)


async def add(tx: Transaction, rule: Rule) -> bool:
    """Make a rule; False when the name is taken."""
    values: dict[str, Any] = rule._asdict()
    values["conditions"] = json.dumps(dict(rule.conditions))
    if await tx.one(_INSERT, **values) is None:
        return False
    await revisions.bump(tx)
    return True


async def delete(tx: Transaction, name: str) -> bool:
    """Take a rule away; False when there was none."""
    if not await tx.run(_DELETE, of=name):
        return False
    await revisions.bump(tx)
    return True


def _rule(row: Row) -> TrustRow:
    name, issuer, audience, conditions, robot, jwks_url, created_at = row
    read = {claim: tuple(globs) for claim, globs in json.loads(conditions).items()}
    return TrustRow(Rule(name, issuer, audience, read, robot, jwks_url), created_at)
