"""The figures of the clients: which is the best, what is reached, how it is shown."""

from bench.clients.cases import cases
from bench.clients.lines import Line, lines_of, markdown
from bench.clients.runs import Cost
from bench.clients.tools import TOOLS
from bench.settings import FULL, QUICK


def _line(**values: list[float]) -> Line:
    return Line("key", "title", "time", "s", values, goal=1.0, limit=2.0)


def test_ratio_is_to_the_best_other() -> None:
    line = _line(kho=[1.0, 1.2, 1.1], skopeo=[2.0], crane=[1.0])
    assert line.ratio == 1.1
    assert line.judged == "<= 1x MISSED, <= 2 s met"


def test_alone_there_is_no_ratio() -> None:
    assert _line(kho=[3.0]).ratio is None
    assert _line(kho=[3.0]).judged == "<= 2 s MISSED"


def test_a_case_has_time_processor_and_memory() -> None:
    case = cases(FULL)[0]
    lines = lines_of(case, {"kho": [Cost(1, 0.5, 40)], "crane": [Cost(2, 1, 20)]})
    assert [line.medians["kho"] for line in lines] == [1, 0.5, 40]
    text = markdown(lines)
    assert "0.50x" in text
    assert "<= 200 MiB met" in text


def test_every_case_is_one_that_a_tool_can_do() -> None:
    known = {job for tool in TOOLS for job in tool.commands}
    assert {case.job for settings in (FULL, QUICK) for case in cases(settings)} <= known
    assert TOOLS[0].name == "kho"
