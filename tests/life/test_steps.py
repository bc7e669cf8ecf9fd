"""Steps: each is given what it declared and leaves a record; none is done twice."""

from __future__ import annotations

import json
import math
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.life import steps as module
from riskwright.life.retrain import plan, steps_of
from riskwright.life.steps import At, Kept, Made, Record, Step, Work, run
from riskwright.life.system import load_case
from riskwright.life.workplace import Progress, new_part, publish
from riskwright.systems.credit.case import load_usecase


class Number(Record):
    value: float


class Folder(Kept):
    lines: int


@pytest.fixture
def work(home: Home) -> Work:
    case = load_usecase("credit_assessment")
    return Work(case, home, Ledger.open(home, create=True), "key", home.folder("work", "x", "key"))


def number(name: str, value: float = 1.0, **more: Any) -> Step:
    return Step(name, name, Number, lambda work, at, made: Number(value=value), **more)


def add(name: str, *needs: str, **more: Any) -> Step:
    """A step that adds what it is given, and keeps a line for each in a folder."""

    def do(work: Work, at: At, made: Made) -> Folder:
        part = new_part(at.folder)
        values = [found.value for found in made.every(Number)]
        (part / "values.txt").write_text("\n".join(map(str, values)))
        digest = publish(part, at.folder)
        return Folder(folder=str(at.folder), sha256=digest, lines=len(values))

    return Step(name, name, Folder, do, needs, **more)


def told(steps: list[Step], work: Work) -> tuple[Made, list[str]]:
    """Run steps; which of them were done, in their order."""
    done: list[str] = []

    def perform(step: Step, go: Callable[[Progress], Record]) -> Record:
        done.append(step.name)
        return go(lambda fraction: None)

    return run(steps, work, perform=perform), done


def test_each_step_is_given_what_it_declared_and_no_more(work: Work) -> None:
    made, done = told([number("a"), number("b", 2.0), number("c", 3.0), add("sum", "a", "c")], work)
    assert done == ["a", "b", "c", "sum"]
    assert made.one(Folder).lines == 2
    assert (made.one(Folder).place / "values.txt").read_text() == "1.0\n3.0"
    assert [found.value for found in made.every(Number)] == [1.0, 2.0, 3.0]
    with pytest.raises(LookupError, match="3 steps gave a Number"):
        made.one(Number)
    with pytest.raises(LookupError, match="no step gave a Folder: a"):
        made.of(["a"]).one(Folder)
    assert made.of(["a"]).maybe(Folder) is None


def test_what_was_done_is_read_and_what_was_touched_is_done_again(work: Work) -> None:
    steps = [number("a"), number("b", kept=False), add("sum", "a", "b"), add("other", "a")]
    first, done = told(steps, work)
    assert done == ["a", "b", "sum", "other"]
    again, done = told(steps, work)
    assert done == ["b"]
    assert again.by_name() == first.by_name()
    (work.place / "sum" / "values.txt").write_text("7")
    assert told(steps, work)[1] == ["b", "sum"]
    (work.place / "other.json").write_text("{")
    assert told(steps, work)[1] == ["b", "other"]
    shutil.rmtree(work.place / "other")
    assert told(steps, work)[1] == ["b", "other"]


def test_what_rests_on_something_else_is_done_again(work: Work) -> None:
    told([number("a"), number("b"), add("sum", "a"), add("other", "b")], work)
    (work.place / "a.json").unlink()
    changed = [number("a", 2.0), number("b"), add("sum", "a"), add("other", "b")]
    made, done = told(changed, work)
    assert done == ["a", "sum"]
    assert (made.every(Folder)[0].place / "values.txt").read_text() == "2.0"


def test_numbers_of_numpy_are_numbers(work: Work) -> None:
    class Free(Record):
        figures: dict[str, Any]

    given = Free(figures={"a": np.int64(3), "b": np.float32(0.5), "c": np.bool_(True)})
    step = Step("free", "free", Free, lambda work, at, made: given)
    assert told([step], work)[0].one(Free).figures == {"a": 3, "b": 0.5, "c": True}
    bad = Step("bad", "bad", Free, lambda work, at, made: Free(figures={"a": object()}))
    with pytest.raises(Exception, match="plain values, not a object"):
        run([bad], work)


def test_a_record_of_another_place_or_shape_is_not_taken_over(work: Work, tmp_path: Path) -> None:
    made, _ = told([number("a"), add("sum", "a")], work)
    shutil.copytree(made.one(Folder).place, tmp_path / "sum")
    moved = made.one(Folder).model_copy(update={"folder": str(tmp_path / "sum")})
    kept = json.loads((work.place / "sum.json").read_text())
    (work.place / "sum.json").write_text(json.dumps(kept | {"record": moved.plain()}))
    first = json.loads((work.place / "a.json").read_text())
    (work.place / "a.json").write_text(json.dumps(first | {"record": {"other": 1}}))
    assert told([number("a"), add("sum", "a")], work)[1] == ["a", "sum"]


def test_a_record_is_what_a_run_done_again_would_read(work: Work) -> None:
    class Exact(Record):
        pair: tuple[float, float]
        more: dict[str, Any]

    given = Exact(pair=(0.1 + 0.2, math.inf), more={"list": (1, 2), "nan": math.nan})
    step = Step("exact", "exact", Exact, lambda work, at, made: given)
    fresh, again = (told([step], work)[0].one(Exact) for _ in range(2))
    assert fresh.pair == again.pair == given.pair
    assert fresh.more["list"] == again.more["list"] == [1, 2]
    assert math.isnan(fresh.more["nan"])
    assert math.isnan(again.more["nan"])
    with pytest.raises(ValueError, match="frozen"):
        fresh.pair = (0.0, 0.0)  # type: ignore[misc]


def test_a_step_beside_the_others_is_waited_for_where_it_is_needed(work: Work) -> None:
    free = threading.Event()

    def wait(work: Work, at: At, made: Made) -> Number:
        assert free.wait(30)
        return Number(value=9.0)

    def go_on(work: Work, at: At, made: Made) -> Number:
        free.set()
        return Number(value=1.0)

    steps = [
        Step("slow", "slow", Number, wait, beside=True),
        Step("quick", "quick", Number, go_on),
        add("sum", "slow", "quick"),
    ]
    assert told(steps, work)[0].one(Folder).lines == 2


@pytest.mark.parametrize("beside", [False, True])
def test_what_a_step_raises_ends_the_run(work: Work, beside: bool) -> None:
    def fail(work: Work, at: At, made: Made) -> Number:
        raise RuntimeError("no room")

    steps = [Step("bad", "bad", Number, fail, beside=beside), number("a"), add("sum", "bad", "a")]
    with pytest.raises(RuntimeError, match="no room"):
        run(steps, work)
    assert not (work.place / "sum.json").exists()
    assert not (work.place / "bad.json").exists()


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([number("a"), number("a")], "two steps are named a"),
        ([add("sum", "a"), number("a")], "sum needs a: no step before it"),
    ],
)
def test_steps_that_do_not_fit_together(work: Work, steps: list[Step], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        run(steps, work)
    assert list(work.place.iterdir()) == []


def test_a_record_of_another_kind_is_a_mistake(work: Work) -> None:
    with pytest.raises(TypeError, match="a gave a Number, not a Folder"):
        run([Step("a", "a", Folder, lambda work, at, made: Number(value=1.0))], work)


@pytest.mark.parametrize(
    "name", ["credit_assessment", "company_credit", "german_credit", "loan_book", "market_return"]
)
def test_the_steps_of_what_is_shipped_fit_together(home: Home, name: str) -> None:
    case = load_case(name, home)[0]
    steps = steps_of(case)
    module.check(steps)
    assert (steps[0].name, steps[-1].name) == ("data", "standing")
    titles = [step.title for step in steps if step.cost]
    assert list(plan(case)) == titles
    assert len(set(titles)) == len(titles)
