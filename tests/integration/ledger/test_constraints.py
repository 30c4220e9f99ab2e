"""The database itself refuses what must not be: one case per rule, by the rule's name."""

from typing import Any

import asyncpg
import pytest
from tests.integration.ledger.conftest import Connection
from tests.integration.ledger.rule_cases import GOOD, OPTIONAL, REFUSED, insert, insert_changed


async def test_the_good_rows_are_accepted(beside: Connection) -> None:
    for table in GOOD:
        await beside.execute(insert(table))


async def test_every_rule_refuses_what_it_should(beside: Connection) -> None:
    wrong: list[Any] = []
    for table, changes, constraint in REFUSED:
        try:
            async with beside.transaction():
                await beside.execute(insert_changed(table, changes))
            wrong.append((table, changes, "accepted"))
        except asyncpg.IntegrityConstraintViolationError as error:
            if error.constraint_name != constraint:
                wrong.append((table, changes, error.constraint_name, constraint))
    assert wrong == []


async def test_a_required_field_must_be_given(beside: Connection) -> None:
    for table, row in GOOD.items():
        for column in row.keys() - OPTIONAL.get(table, set()):
            with pytest.raises(asyncpg.NotNullViolationError):
                await beside.execute(insert_changed(table, {column: "NULL"}))
