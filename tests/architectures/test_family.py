"""The rows of the family: what they say of state and path is so; docs/family.md and the command line say the same."""

import re
from pathlib import Path

import pytest

import architectures
from architectures.family import BOTH_WAYS, FAMILY
from architectures.registry import ARCHITECTURES
from tests.architectures.cases import RESIDUAL
from workbench.cli.list import list_family

ROWS = {name: entry.family for name, entry in ARCHITECTURES.items() if entry.family is not None}
H, N, D = 8, 4, 2
TIME = 5


def test_rows_stand_in_the_catalogue_under_their_own_names() -> None:
    assert all(ROWS[name] is FAMILY[name] for name in ROWS)
    assert ROWS.keys() >= {*RESIDUAL, "rwa", "rda", "rnn-attention"}


@pytest.mark.parametrize("name", [name for name in ROWS if name != "rnn-attention"])
def test_the_state_is_as_large_as_the_row_says(name: str) -> None:
    """Letters are numbers, and what stands side by side is multiplied."""
    encoder = architectures.build(name, 3, hidden_size=H)
    formula, by_step, _ = ROWS[name].state.partition(" a step")
    formula = re.sub(r"(?<=[\dHNDS]) (?=[HNDS(])", " * ", formula)
    assert re.fullmatch(r"[\dHNDS+*() ]+", formula)
    expected = eval(formula, {"H": H, "N": N, "D": D, "S": getattr(encoder, "num_states", D)})
    assert encoder.state_size(TIME) == expected * (TIME if by_step else 1)


@pytest.mark.parametrize("name", ROWS)
def test_the_path_is_as_long_as_the_row_says(name: str) -> None:
    """A recurrence of weights that see h has two, through h and through the average."""
    encoder = architectures.build(name, 3, hidden_size=H)
    grows = encoder.path_length(500) - encoder.path_length(100) == 400
    assert grows == ROWS[name].path.startswith("lag")
    assert encoder.average_path_length(500) == (1 if ROWS[name].path == BOTH_WAYS else None)


@pytest.mark.parametrize("name", ["bidirectional", "act"])
def test_what_has_a_base_has_its_path_through_the_average(name: str) -> None:
    for base, expected in (("rda", 1), ("lstm", None)):
        encoder = architectures.build(name, 3, hidden_size=H, base=base)
        assert encoder.average_path_length(9) == expected


def test_the_command_and_the_page_have_the_same_table() -> None:
    lines = list_family().splitlines()
    page = (Path(__file__).parents[2] / "docs/family.md").read_text(encoding="utf-8")
    cells = {}
    for line in page.splitlines():
        found = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(found) == 10:
            cells[found[0].strip("`")] = found[1:]
    years = []
    for name, row in ROWS.items():
        (line,) = (line for line in lines if line.split(" ")[0] == name)
        values = [str(getattr(row, field)) for field in row.__slots__]
        assert cells[name] == values
        assert re.split(r" {2,}", line) == [name, *values]
    for line in lines[1 : len(ROWS) + 1]:
        years.append(int(line.split()[1]))
    assert years == sorted(years)
