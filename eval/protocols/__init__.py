"""The frame-level protocols of the field's data sets; `DATASETS` is the list of them."""

from vau.errors import InputError
from vau.eval.protocols.avenue import AVENUE
from vau.eval.protocols.base import Dataset, Expected, Grid, Protocol, Repair, Source
from vau.eval.protocols.dota import DOTA
from vau.eval.protocols.lad import LAD
from vau.eval.protocols.msad import MSAD
from vau.eval.protocols.shanghaitech import SHANGHAITECH
from vau.eval.protocols.tad import TAD
from vau.eval.protocols.ubnormal import UBNORMAL
from vau.eval.protocols.ucf_crime import UCF_CRIME
from vau.eval.protocols.ucsd import PED1, PED2
from vau.eval.protocols.xd_violence import XD_VIOLENCE

__all__ = ["DATASETS", "Dataset", "Expected", "Grid", "Protocol", "Repair", "Source", "find_dataset"]

DATASETS = (UCF_CRIME, XD_VIOLENCE, SHANGHAITECH, AVENUE, PED1, PED2, UBNORMAL, MSAD, TAD, DOTA, LAD)


def find_dataset(name: str) -> Dataset:
    """Returns the data set of that name, as the command line writes it.

    Raises:
        InputError: there is none of that name.
    """
    for dataset in DATASETS:
        if dataset.name == name.lower():
            return dataset
    raise InputError(f"no data set {name!r}; there are: {', '.join(dataset.name for dataset in DATASETS)}")
