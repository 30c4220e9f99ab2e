"""Ids: time in front, randomness behind, and none twice."""

from signalbox.engine.clock import TimeOrderedIds


def test_ids_are_version_7_sort_by_time_and_never_repeat() -> None:
    ids = TimeOrderedIds()
    made = [ids.new_id() for _ in range(1000)]
    assert len(set(made)) == len({made_id.int & (1 << 62) - 1 for made_id in made}) == 1000
    assert {(made_id.version, made_id.variant) for made_id in made} == {(7, "specified in RFC 4122")}
    times = [made_id.int >> 80 for made_id in made]
    assert times == sorted(times)
