"""Published figures that may stand beside ours: those of the same variant of a task, and no others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.config import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What one source reports of one variant of a task."""

    task: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """The options that make the variant, all of which must be equal."""
    unstated: frozenset[str] = frozenset()
    """Options that the source leaves open. Any further option of the task would make another variant."""
    source: str
    measure: str
    """What the figures count."""
    setting: str
    """The model and the budget behind them."""
    figures: Mapping[str, str]
    """As published, by the catalogue's name of the architecture."""

    def matches(self, task: Part) -> bool:
        """Whether the task is the variant that the source has."""
        stated = {key: value for key, value in task.options.items() if key not in self.unstated}
        return task.name == self.task and stated == dict(self.options)


RDA = "250 units, batch 100, Adam 0.001, gradients clipped to [-1, 1]; single run"
RWA = "250 units, batch 100, Adam 0.001, no clipping, learned initial state; single run, three test batches in a row"
TCN = "parameters in all; single run"
RWA_COPY = {"items": 10, "categories": 7}

PUBLISHED: tuple[Published, ...] = (
    Published(
        task="addition",
        options={"length": 1000},
        source="RDA paper, table 1",
        measure="steps until loss < 0.001",
        setting=RDA,
        figures={
            "gru": "2,036",
            "lstm": "> 10,000",
            "rda-exp-tanh": "1,781",
            "rda-sigmoid-id": "2,016",
            "rwa": "1,735",
        },
    ),
    Published(
        task="addition",
        options={"length": 1000},
        source="RWA author's logs",
        measure="steps until test loss < 0.01",
        setting=RWA,
        figures={"rwa": "1,400", "lstm": "16,700"},
    ),
    Published(
        task="addition",
        options={"length": 1000},
        source="RWA author's logs",
        measure="steps until test loss < 0.001",
        setting=RWA,
        figures={"rwa": "2,600", "lstm": "19,400"},
    ),
    Published(
        task="addition",
        options={"length": 100},
        source="RWA author's logs",
        measure="steps until test loss < 0.01",
        setting=RWA,
        figures={"rwa": "800", "lstm": "3,500"},
    ),
    Published(
        task="addition",
        options={"length": 100},
        source="RWA author's logs",
        measure="steps until test loss < 0.001",
        setting=RWA,
        figures={"rwa": "1,900", "lstm": "6,000"},
    ),
    Published(
        task="addition",
        options={"length": 600},
        source="TCN paper, table 1",
        measure="test loss",
        setting=f"70,000 {TCN}",
        figures={"lstm": "0.164", "gru": "5.3 \u00d7 10⁻⁵", "rnn": "0.177", "tcn": "5.8 \u00d7 10⁻⁵"},
    ),
    Published(
        task="classify-length",
        options={"length": 1000},
        source="RDA paper, table 2",
        measure="steps until accuracy = 1",
        setting=f"{RDA}, learned initial state; the paper does not state the inputs",
        figures={"gru": "71", "lstm": "776", "rda-exp-tanh": "164", "rda-sigmoid-id": "414", "rwa": "133"},
    ),
    Published(
        task="copy",
        # How many symbols the paper leaves open; ten, the RWA author's number, is the variant that it stands beside.
        options={"length": 1000, "items": 10},
        unstated=frozenset({"categories"}),
        source="RDA paper, table 5",
        measure="steps until accuracy > 0.999",
        setting=f"{RDA}; the paper states neither the number of symbols nor the alphabet",
        figures={
            "gru": "5,329",
            "lstm": "> 20,000",
            "rda-exp-tanh": "11,831",
            "rda-sigmoid-id": "9,840",
            "rwa": "5,660",
        },
    ),
    Published(
        task="copy",
        options={"length": 1000, **RWA_COPY},
        source="RWA author's logs",
        measure="steps until test loss < 0.01 bits a position",
        setting=RWA,
        figures={"rwa": "8,600", "lstm": "49,300"},
    ),
    Published(
        task="copy",
        options={"length": 1000, **RWA_COPY},
        source="RWA author's logs",
        measure="steps until test loss < 0.001 bits a position",
        setting=RWA,
        figures={"rwa": "14,000", "lstm": "> 50,000"},
    ),
    Published(
        task="copy",
        options={"length": 100, **RWA_COPY},
        source="RWA author's logs",
        measure="steps until test loss < 0.01 bits a position",
        setting=RWA,
        figures={"rwa": "7,500", "lstm": "23,900"},
    ),
    Published(
        task="copy",
        options={"length": 100, **RWA_COPY},
        source="RWA author's logs",
        measure="steps until test loss < 0.001 bits a position",
        setting=RWA,
        figures={"rwa": "10,400", "lstm": "32,200"},
    ),
    Published(
        task="copy-memory",
        options={"length": 1000, "items": 10, "categories": 8},
        source="TCN paper, table 1",
        measure="test loss",
        setting=f"16,000 {TCN}",
        figures={"lstm": "0.0204", "gru": "0.0197", "rnn": "0.0202", "tcn": "3.5 \u00d7 10⁻⁵"},
    ),
    Published(
        task="multicopy",
        # The paper gives 50 copies in 1,000 steps; eight symbols and a gap of three fill the 20 steps of each.
        options={"copies": 50, "items": 8, "gap": 3},
        unstated=frozenset({"categories"}),
        source="RDA paper, table 6",
        measure="steps until accuracy > 0.99",
        setting=f"{RDA}; the paper does not state symbols, gap and alphabet",
        figures={
            "gru": "3,984",
            "lstm": "4,048",
            "rda-exp-tanh": "1,114",
            "rda-sigmoid-id": "1,316",
            "rwa": "> 10,000",
        },
    ),
)

RDA_FORMS: Mapping[tuple[Any, ...], str] = {
    ("exp", "identity", "tanh"): "rda-exp-tanh",
    ("sigmoid", "identity", "identity"): "rda-sigmoid-id",
}
"""The paper's two, by the options attention, hidden and output of `rda`."""


def catalogue_name(architecture: Part) -> str:
    """The name that the sources know it by: `rda` with the options of one of the paper's two is that one."""
    if architecture.name == "rda":
        form = tuple(architecture.options.get(key) for key in ("attention", "hidden", "output"))
        return RDA_FORMS.get(form, "rda")
    return architecture.name


def published_for(task: Part) -> tuple[Published, ...]:
    """All that is published of exactly this variant."""
    return tuple(entry for entry in PUBLISHED if entry.matches(task))
