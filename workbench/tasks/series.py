"""The task `series`: real sequences of the UCR and UEA archives, without a download."""

from dataclasses import dataclass
from typing import get_args

from architectures.limits import check_whole, quote
from workbench.data import aeon
from workbench.data.own.dataset import OwnDataset, digest, load
from workbench.data.own.options import GIVEN, DataOptions, Scale, Speaker
from workbench.seeds import MAX_SEED
from workbench.tasks.file_task import FileTask

MAX_VALIDATION = 0.5
"""Most of a training set that may be held out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series(FileTask):
    """Classes of real sequences, asked at the last step; the files are those of the package aeon.

        x_t     = the channels of step t, scaled as the training part says
        loss    = -ln p(class)
        trivial = the loss on the test part of the shares that the classes have in the training part

        data set               steps      channels  classes  sequences to train and test
        ACSF1                  1,460      1         10       100, 100   the power that appliances draw
        ArrowHead              251        1         3        36, 175    outlines of arrowheads
        BasicMotions           100        6         4        40, 40     sensors of a smart watch
        GunPoint               150        1         2        50, 150    a hand that draws a gun, or points
        ItalyPowerDemand       24         1         2        67, 1,029  the power demand of a day, summer or winter
        JapaneseVowels         7 to 29    12        9        270, 370   who says two vowels
        OSULeaf                427        1         6        200, 242   outlines of leaves
        PickupGestureWiimoteZ  29 to 361  1         10       50, 50     gestures of picking up

    The published training and test sets are kept apart; a share of the training set, with about the same shares of
    every class, is for validation. The hash of both files is part of the identity of an experiment.

    Source: Dau et al. (2019), The UCR time series archive, arXiv 1810.07758; Bagnall et al. (2018), The UEA
    multivariate time series classification archive, arXiv 1811.00075; the files as Middlehurst et al. (2024), aeon,
    JMLR 25(289), brings them along. `pip install --no-deps aeon` is enough.

    Args:
        dataset: the data set.
        validation: share of the published training set for validation.
        split_seed: seed of the choice of those sequences.
        scale: standard (each channel with mean 0 and deviation 1 in the training part), minmax (0 to 1 there), or none.
    """

    dataset: aeon.Name = "GunPoint"
    validation: float = 0.2
    split_seed: int = 0
    scale: Scale = "standard"

    def __post_init__(self) -> None:
        for key, choices in (("dataset", get_args(aeon.Name)), ("scale", get_args(Scale))):
            if (value := getattr(self, key)) not in choices:
                raise ValueError(f"{key} must be one of {', '.join(choices)}, not {quote(value)}")
        if isinstance(self.validation, bool) or not isinstance(self.validation, int | float):
            raise TypeError(f"validation must be a number, not {quote(self.validation)}")
        if not 0 < self.validation <= MAX_VALIDATION:
            raise ValueError(f"validation must be above 0 and at most {MAX_VALIDATION}, not {quote(self.validation)}")
        check_whole("split_seed", self.split_seed, least=0, most=MAX_SEED, why="a seed has 63 bits")

    @property
    def _options(self) -> DataOptions:
        return DataOptions(
            split=GIVEN, validation=self.validation, split_seed=self.split_seed, scale=self.scale, answer="class"
        )

    @property
    def loaded(self) -> OwnDataset:
        """The data, which is read again if a file has changed."""
        path = aeon.locate(self.dataset)
        return load(path, self._options, Speaker(path.name, "series"))

    @property
    def data(self) -> str:
        """A hash of the contents of both files."""
        return digest(aeon.locate(self.dataset), GIVEN)
