"""Data sets of classes in the .ts format, of noise, as the package that has the real ones may be missing."""

from pathlib import Path

import numpy as np

COUNTS = {"TRAIN": 45, "TEST": 30}
SETS = {"GunPoint": (1, 2, (12, 12)), "JapaneseVowels": (3, 3, (7, 29))}
"""Channels, classes, and the least and most steps of each set."""


def make_sequences(name: str, part: str) -> list[tuple[np.ndarray, int]]:
    """Returns the sequences of a part, (steps, channels), and their classes, counted from 1."""
    channels, classes, (least, most) = SETS[name]
    generator = np.random.default_rng(len(name) + len(part))
    return [
        (
            # Another mean and deviation in the test part: scaling that looked there would show.
            generator.normal(5 if part == "TRAIN" else 50, 2, (generator.integers(least, most + 1), channels)).round(3),
            index % classes + 1,
        )
        for index in range(COUNTS[part])
    ]


def write(folder: Path) -> Path:
    """Writes the files of all sets, each in a folder of its name."""
    for name, (channels, classes, (least, most)) in SETS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for part in COUNTS:
            lines = [
                f"# Noise in the place of {name}.",
                f"@problemName {name}",
                "@timeStamps false",
                f"@univariate {str(channels == 1).lower()}",
                f"@equalLength {str(least == most).lower()}",
                f"@classLabel true {' '.join(str(1 + index) for index in range(classes))}",
                "@data",
            ]
            for values, label in make_sequences(name, part):
                lines.append(":".join([*(",".join(map(str, channel)) for channel in values.T), str(label)]))
            (folder / name / f"{name}_{part}.ts").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
