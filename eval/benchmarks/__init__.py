"""Benchmarks of video understanding; `BENCHMARKS` is the list of them."""

from vau.errors import InputError
from vau.eval.benchmarks import uca, vau_bench
from vau.eval.benchmarks.any_anomaly import ANY_ANOMALY
from vau.eval.benchmarks.base import Benchmark, Item, Items
from vau.eval.benchmarks.cuebench import CUEBENCH, PROXY
from vau.eval.benchmarks.cuva import CUVA
from vau.eval.benchmarks.detection import DETECTION
from vau.eval.benchmarks.hawk import HAWK
from vau.eval.benchmarks.hivau import HIVAU
from vau.eval.benchmarks.vad_reasoning import VAD_REASONING

__all__ = ["BENCHMARKS", "Benchmark", "Item", "Items", "find_benchmark"]

BENCHMARKS: tuple[Benchmark, ...] = (
    uca.TSGV,
    uca.VC,
    uca.DVC,
    uca.MAD,
    *CUEBENCH,
    *PROXY,
    *HIVAU,
    vau_bench.QA,
    vau_bench.QA_SHUFFLED,
    vau_bench.TAG,
    vau_bench.CLS,
    vau_bench.REASONING,
    VAD_REASONING,
    CUVA,
    *HAWK,
    *ANY_ANOMALY,
    *DETECTION,
)


def find_benchmark(name: str) -> Benchmark:
    """Returns the benchmark of that name, as the command line writes it.

    Raises:
        InputError: there is none of that name.
    """
    for benchmark in BENCHMARKS:
        if benchmark.name == name.lower():
            return benchmark
    raise InputError(f"no benchmark {name!r}; there are: {', '.join(benchmark.name for benchmark in BENCHMARKS)}")
