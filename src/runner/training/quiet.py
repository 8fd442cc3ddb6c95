"""What keeps Lightning quiet."""

import logging
import warnings

NOISE = (
    ".*LeafSpec.*deprecated.*",  # inside Lightning
    ".*smaller than the logging interval.*",  # the curve gets a point at the end of each epoch anyway
    ".*GPU available but not used.*",
    ".*`srun` command is available.*",
    ".*You requested to overfit.*",  # our loader keeps the order itself, see DataModule.train_dataloader
    ".*sync_dist=True.*",  # the means are summed over the processes before they are logged
)


def silence() -> None:
    """Leave out Lightning's advertisements and the warnings that do not concern a user of this program."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for text in NOISE:
        warnings.filterwarnings("ignore", message=text)
