"""Who goes first, what is chosen, what is read from /proc."""

import os
from dataclasses import replace

import pytest

from bench.__main__ import contestants_of
from bench.options import parse
from bench.processes import Stat, parse_stat
from bench.programs import ROOT_USER, ProgramMissingError, lacking
from bench.rounds import order
from bench.wire import path_of


def test_every_second_round_goes_backwards() -> None:
    rounds = [order(["a", "b"], number) for number in range(4)]
    assert rounds == [("a", "b"), ("b", "a"), ("a", "b"), ("b", "a")]


def test_scenarios_are_chosen_by_pattern() -> None:
    options = parse(["--quick", "--only", "push-*,tags", "--repeats", "5"])
    assert options.settings.repeats == 5
    assert options.wanted("push-1k")
    assert options.wanted("tags")
    assert not options.wanted("pull-1k")
    assert parse([]).wanted("anything")


def test_the_limit_may_be_missing_and_nobody_else() -> None:
    options = parse([])
    khod, nginx = options.peers[0], replace(options.peers[2], program="no-such-program")
    (found,) = contestants_of(replace(options, peers=(khod, nginx)))
    assert found.peer is khod
    with pytest.raises(ProgramMissingError, match="no-such-program"):
        contestants_of(replace(options, peers=(khod, replace(nginx, limit=False))))


def test_what_a_scenario_needs_is_looked_for() -> None:
    assert lacking(["sh", "no-such-program"]) == ("no-such-program",)
    assert bool(lacking([ROOT_USER])) == bool(os.geteuid())


def test_a_process_name_may_hold_brackets_and_spaces() -> None:
    line = "42 (a) b (c)) S 7 42 40 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0 99 0 0"
    assert parse_stat(line) == Stat(pid=42, parent=7, session=40, ticks=100)


def test_locations_absolute_or_not() -> None:
    assert (
        path_of("http://127.0.0.1:5000/v2/a/blobs/uploads/1?_state=x")
        == "/v2/a/blobs/uploads/1?_state=x"
    )
    assert path_of("/v2/a/blobs/uploads/1") == "/v2/a/blobs/uploads/1"
