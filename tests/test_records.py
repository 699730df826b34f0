"""mrc's data classes are those of the standard library; nobody who reads one has to know that they are not."""

import dataclasses
import pickle
from typing import ClassVar

import pytest

from mrc import records

ORDER = {"frozen": True, "order": True}


class Made:
    """The same classes, made by `how`; `with_default` is its `field`."""

    def __init__(self, how, field):  # type: ignore[no-untyped-def]
        @how(frozen=True)
        class Base:
            kind: ClassVar[str] = "base"
            name: str
            size: int = 3

        @how(frozen=True)
        class Frozen(Base):
            parts: dict[str, int] = field(default_factory=dict)
            size: int = 4

        @how(**ORDER)
        class Ordered:
            a: int
            b: str = "b"

        @how(frozen=True, eq=False)
        class Single:
            a: int

        @how
        class Open:
            a: int
            more: list[int] = field(default_factory=list)

        @how(frozen=True)
        class Empty:
            pass

        self.frozen, self.ordered, self.single, self.open, self.empty = Frozen, Ordered, Single, Open, Empty


STANDARD, OURS = Made(dataclasses.dataclass, dataclasses.field), Made(records.dataclass, records.field)
BOTH = pytest.mark.parametrize(("made", "replace"), [(STANDARD, dataclasses.replace), (OURS, records.replace),
                                                     (OURS, dataclasses.replace)])  # fmt: skip


@records.dataclass(frozen=True)
class Kept:
    a: int
    b: str = "b"


@BOTH
def test_objects_are_made_and_compared_by_their_fields(made: Made, replace) -> None:  # type: ignore[no-untyped-def]
    one = made.frozen("x")
    assert (one.name, one.size, one.parts, one.kind) == ("x", 4, {}, "base")
    assert one == made.frozen(name="x", size=4) != made.frozen("y")
    assert one.parts is not made.frozen("x").parts
    assert repr(one).endswith("Frozen(name='x', size=4, parts={})")
    assert replace(one, size=1) == made.frozen("x", 1)
    assert made.frozen("x", parts={"a": 1}).parts == {"a": 1}
    assert made.empty() == made.empty() != made.open(1)
    for wrong in ((), ("x", 1, {}, 2)):
        with pytest.raises(TypeError):
            made.frozen(*wrong)
    with pytest.raises(TypeError):
        made.frozen("x", other=1)
    with pytest.raises(TypeError):
        replace(one, other=1)


@BOTH
def test_frozen_objects_stay_and_open_ones_change(made: Made, replace) -> None:  # type: ignore[no-untyped-def]
    one, other = made.ordered(1), made.open(1)
    for change in (lambda: setattr(one, "a", 2), lambda: delattr(one, "a"), lambda: setattr(one, "c", 2)):
        with pytest.raises(AttributeError):
            change()
    other.a = 2
    other.more.append(3)
    assert other == made.open(2, [3])
    assert made.open.__hash__ is None
    assert replace(other, a=4).more is other.more


@BOTH
def test_objects_are_ordered_and_hashed_by_their_fields(made: Made, replace) -> None:  # type: ignore[no-untyped-def]
    one, other = made.ordered(1), made.ordered(1, "c")
    assert sorted([other, one, replace(one, a=0)]) == [made.ordered(0), one, other]
    assert one <= one < other > one >= one
    assert len({one, made.ordered(1), other}) == 2
    assert made.single(1) != made.single(1)
    with pytest.raises(TypeError):
        _ = one < 1
    match one:
        case made.ordered(a, b):
            assert (a, b) == (1, "b")


def test_an_object_comes_back_from_a_pickle() -> None:
    assert pickle.loads(pickle.dumps([Kept(1), Kept(2)])) == [Kept(1), Kept(2)]


def test_the_standard_library_and_pydantic_know_the_fields() -> None:
    from pydantic import TypeAdapter

    assert [each.name for each in dataclasses.fields(OURS.frozen)] == ["name", "size", "parts"]
    assert dataclasses.asdict(OURS.frozen("x")) == {"name": "x", "size": 4, "parts": {}}
    assert TypeAdapter(OURS.open).validate_python({"a": "1"}) == OURS.open(1)
