"""The points of a sweep from its command line."""

import itertools

import pytest

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.grid import animals, grid


def values(assignment):
    found = grid([assignment, "other=1,2"])
    return [point[assignment.split("=")[0]] for point in found.points[::2]]


@pytest.mark.parametrize(
    ("assignment", "found"),
    [
        ("a=0.1,0.2, 0.3", ["0.1", "0.2", "0.3"]),
        ("a.b=[64,20],[64,20,6]", ["[64,20]", "[64,20,6]"]),
        ("a={x: 1, y: [1,2]},null", ["{x: 1, y: [1,2]}", "null"]),
        ('a="p, q",r', ['"p, q"', "r"]),
        ("a=[\"]\",'[', b],c", ["[\"]\",'[', b]", "c"]),
        ("a=it's,so", ["it's", "so"]),
        ("a=x=1,y=2", ["x=1", "y=2"]),
    ],
)
def test_a_list_is_separated_by_commas_outside_brackets_and_quotes(assignment, found):
    assert values(assignment) == found


def test_a_single_value_is_the_same_everywhere_though_it_has_commas():
    found = grid(["network.layers=[64,20]", "x="])
    assert found.constant == {"network.layers": "[64,20]", "x": ""}
    assert found.points == ({},)
    assert found.overrides({}) == ("network.layers=[64,20]", "x=")


def test_a_grid_has_every_combination_once_the_last_setting_changing_fastest():
    found = grid(["a=1,2", "fixed=0", "b=x,y,z"])
    wanted = itertools.product(("1", "2"), ("x", "y", "z"))
    assert [tuple(point.values()) for point in found.points] == list(wanted)
    assert found.overrides(found.points[1]) == ("fixed=0", "a=1", "b=y")


def test_zip_takes_first_values_together_and_refuses_lists_of_other_lengths():
    found = grid(["a=1,2", "fixed=0", "b=x,y"], zipped=True)
    assert [dict(point) for point in found.points] == [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]
    with pytest.raises(NeuroAWSError, match="a 2, b 3"):
        grid(["a=1,2", "b=x,y,z"], zipped=True)
    assert grid(["a=1"], zipped=True).points == ({},)


def test_random_draws_different_points_and_the_same_ones_again():
    lists = [f"{key}={','.join(map(str, range(10)))}" for key in "abcdefgh"]
    drawn = [tuple(point.values()) for point in grid(lists, random=50).points]
    assert len(set(drawn)) == 50
    assert drawn == [tuple(point.values()) for point in grid(lists, random=50).points]
    assert all(len({point[k] for point in drawn}) > 5 for k in range(8))
    every = grid(["a=1,2", "b=1,2"], random=4).points
    assert every == grid(["a=1,2", "b=1,2"]).points


@pytest.mark.parametrize(
    ("sets", "options", "said"),
    [
        (["a"], {}, "write key.path=value"),
        (["=1"], {}, "write key.path=value"),
        (["a=1,,2"], {}, "between commas is empty"),
        (["a=1,2,1"], {}, "given twice"),
        (["a=[1,2"], {}, "a ] is missing"),
        (["a=1],2"], {}, "a ] too many"),
        (["a=[1,2),3"], {}, r"a \) too many"),
        (['a="x,y'], {}, 'a " is missing'),
        (["a.0.b=1", "a.0.b =2"], {}, "set twice"),
        (["seeds=1,2"], {}, "--seeds"),
        (["name=x,y"], {}, "told apart by their settings"),
        (["a=1,2"], {"random": 3}, "the grid has 2"),
        (["a=1,2"], {"random": 1, "zipped": True}, "without --random"),
        ([f"{k}={','.join(map(str, range(1000)))}" for k in "ab"], {}, "1000000 points, at most"),
    ],
)
def test_what_is_no_grid_is_refused(sets, options, said):
    with pytest.raises(NeuroAWSError, match=said):
        grid(sets, **options)


def test_animals_are_ranges():
    assert animals("0-3") == [0, 1, 2, 3]
    assert animals("0,3, 8-9") == [0, 3, 8, 9]
    assert animals("4-4") == [4]
    for text, said in {
        "4": "may mean one animal or so many. Write 4-4",
        "3-1": "smaller number",
        "0-3000000000": "smaller number",
        "0-1000000": "100000 of them",
        "a-b": "no range",
        "": "no range",
        "0,": "no range",
        "-1-2": "no range",
        "²-3": "no range",
        "0-3,2": "twice",
    }.items():
        with pytest.raises(NeuroAWSError, match=said):
            animals(text)
