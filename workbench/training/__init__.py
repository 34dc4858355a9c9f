"""Training with Lightning: the module, the data, the callbacks and the loop of a run.

>>> module = SequenceModule("lstm", "addition", hidden_size=64)
>>> trainer.fit(module, TaskDataModule("addition", batch_size=20))
"""

from workbench.training.data_module import TaskDataModule
from workbench.training.sequence_module import SequenceModule

__all__ = ["SequenceModule", "TaskDataModule"]
