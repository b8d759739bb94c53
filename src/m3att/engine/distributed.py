"""Several processes that train or score one network together, as `torchrun` or `accelerate launch` start them.

PyTorch connects them. The library accelerate wraps the network, and is imported only where there are several.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from m3att.device import choose_device
from m3att.errors import ConfigError, LostError
from m3att.launched import ask_all_by, process_count, process_rank
from m3att.model.language.birnn import BiRNN
from m3att.model.network import M3AttNet
from m3att.model.norm import share_batch
from m3att.model.shared import SharedBatch
from m3att.model.vision.darknet53 import Darknet53
from m3att.model.vision.tiny import TinyConvNet

if TYPE_CHECKING:
    from accelerate import Accelerator

T = TypeVar("T")
PATIENCE = timedelta(minutes=30)  # for a process that saves, or reads a slow drive, while the others wait for it
LOST = ("gloo", "Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL")  # in PyTorch's messages


@dataclass(frozen=True)
class Processes:
    """The processes of one training or evaluation, as one of them sees them.

    Args:
        rank: number of this process; 0 alone writes and speaks.
        count: how many there are.
        accelerator: of the library accelerate; None for a process that is alone.
        shared: the batch that the layers with BatchNorm share.
    """

    rank: int = 0
    count: int = 1
    accelerator: Accelerator | None = None
    shared: SharedBatch = field(default_factory=SharedBatch)

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def device(self, name: str) -> torch.device:
        """The device of this process: of several on one machine, each has a GPU of its own.

        Args:
            name: of the settings.

        Raises:
            ConfigError: where there is no such device.
        """
        chosen: torch.device = choose_device(name) if self.accelerator is None else self.accelerator.device
        return chosen

    def wrap(self, network: M3AttNet, divide: bool = False) -> Any:
        """The network as training calls it: its backward pass averages the gradients of all processes.

        BatchNorm then has the statistics of the whole batch.

        Args:
            network: on its device; all processes get the weights of the first.
            divide: make a copy of it, of which each process has a part; see `engine.sharding`.
        """
        if self.accelerator is None:
            return network
        from accelerate.utils import DistributedDataParallelKwargs

        if divide:
            from m3att.engine.sharding import shard

            return shard(network, self.shared)
        share_batch(network, self.shared)
        # The statistics of BatchNorm are the same everywhere, so nothing need be sent before a forward pass.
        self.accelerator.ddp_handler = DistributedDataParallelKwargs(
            broadcast_buffers=False,
            gradient_as_bucket_view=True,
            find_unused_parameters=may_leave_weights_out(network),
        )
        with warnings.catch_warnings():  # PyTorch 2.13 has another name for broadcast_buffers, accelerate 1.15 not yet
            warnings.simplefilter("ignore", FutureWarning)
            return self.accelerator.prepare_model(network, device_placement=False)

    def seed(self, seed: int, step: int) -> None:
        """Make the random numbers of a step, such as dropout, differ between the processes.

        They are a function of the arguments and the rank. So nothing of the other processes need be saved to resume. A
        process that is alone goes on with its generator.

        Args:
            seed: of the run.
            step: that comes.
        """
        if self.count > 1:
            torch.manual_seed(int(np.random.SeedSequence([seed, step, self.rank]).generate_state(1, np.uint64)[0]))

    def summed(self, values: Tensor) -> Tensor:
        """The sum over all processes of a tensor (...) that each of them has, (...); no gradient goes through it."""
        if self.count == 1:
            return values
        values = values.detach().clone()
        dist.all_reduce(values)
        return values

    def largest(self, value: int) -> int:
        """The largest of the numbers that the processes have."""
        if self.count == 1:
            return value
        found = torch.tensor(value)
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return int(found)

    def joined(self, values: list[T]) -> list[T]:
        """The lists of all processes as one, in the order of their ranks; every process gets it."""
        if self.count == 1:
            return values
        lists: list[Any] = [None] * self.count
        dist.all_gather_object(lists, values)
        return [value for found in lists for value in found]

    def of_first(self, value: T) -> T:
        """What the first process has; every process gets it."""
        return self.joined([value])[0]

    def wait(self) -> None:
        """Wait until all processes have come here."""
        self.joined([None])

    @contextmanager
    def micro_batch(self, forward: Any, counts: bool, is_last: bool) -> Iterator[None]:
        """Forward and backward of one micro-batch of a step.

        Args:
            forward: what `wrap` made of the network.
            counts: whether this process has a part of the micro-batch.
            is_last: whether the gradients are then whole, so that they are averaged over the processes.
        """
        self.shared.counts = counts
        if hasattr(forward, "set_requires_gradient_sync"):  # of FSDP2
            forward.set_requires_gradient_sync(is_last)
            yield
            return
        with nullcontext() if is_last or self.accelerator is None else self.accelerator.no_sync(forward):
            yield


ALONE = Processes()


def may_leave_weights_out(network: M3AttNet) -> bool:
    """Whether a step may give some weights no gradient, so that PyTorch must look for them in each step.

    It prints a warning in each process if it looks and finds none. W_proj has none where LFR's target is kept out of
    the gradient, and the norm of the sentence has none where neither LFR nor early fusion reads the sentence. Encoders
    of the library transformers have parts, such as BERT's pooler, that nothing here uses, and EfficientNet-Lite has
    coarse stages that `map_strides` may leave out.

    Args:
        network: that trains.
    """
    encoders: list[torch.nn.Module] = []
    if not isinstance(network.vision.backbone, (TinyConvNet, Darknet53)):
        encoders.append(network.vision.backbone)
    if not isinstance(network.language, BiRNN):
        encoders.append(network.language)
    learns = any(weight.requires_grad for encoder in encoders for weight in encoder.parameters())
    if network.lfr is None:
        return learns or network.vision.fusion is None
    return learns or network.lfr.stop_gradient


def join(device: str) -> Processes:
    """Meet the other processes that the launcher started; a process that is alone meets nobody.

    Args:
        device: of the settings.

    Raises:
        ConfigError: where the environment is not a launcher's, or there are too few GPUs.
    """
    if process_count() == 1:
        return ALONE
    missing = [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
    if missing:
        raise ConfigError(
            f"WORLD_SIZE is {process_count()} and {missing[0]} is not set: start several processes with torchrun, "
            "which sets both, or unset WORLD_SIZE"
        )
    for kind in ("FSDP", "DEEPSPEED"):
        if os.environ.get(f"ACCELERATE_USE_{kind}", "").lower() == "true":
            raise ConfigError(
                f"accelerate is set to {kind}, and m3att divides only the batch: start it with torchrun, or with "
                "accelerate launch --multi_gpu"
            )
    on_gpu = choose_device(device).type == "cuda"
    if on_gpu and int(os.environ["LOCAL_RANK"]) >= torch.cuda.device_count():
        raise ConfigError(
            f"this machine has {torch.cuda.device_count()} GPUs, and each process needs one: start fewer with torchrun "
            "--nproc-per-node, or give --train.device cpu"
        )
    from accelerate import Accelerator

    if not on_gpu:
        keep_to_cores()
    if not dist.is_initialized():
        store, rank, count = next(dist.rendezvous("env://", timeout=PATIENCE))  # type: ignore[attr-defined]
        # Gloo too, so that lists and flags need no GPU.
        backend = "cpu:gloo,cuda:nccl" if on_gpu else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=PATIENCE)
        ask_all_by(lambda: first_to_claim(store))
    # What `accelerate launch --mixed_precision bf16` or `--dynamo_backend` asks for stands in m3att's own settings.
    accelerator = Accelerator(cpu=not on_gpu, mixed_precision="no", dynamo_backend="no")
    return Processes(process_rank(), process_count(), accelerator)


def keep_to_cores() -> None:
    """Keep this process, of several on a machine without a GPU, to its share of the cores.

    Processes that wait for each other dozens of times a step wake each other up. The system then often puts them on
    the same core, where each step takes longer. A process that is bound to other cores than its launcher stays there.
    """
    if not hasattr(os, "sched_setaffinity"):  # only Linux has it
        return
    count, rank = (int(os.environ.get(name) or 0) for name in ("LOCAL_WORLD_SIZE", "LOCAL_RANK"))
    cores = sorted(os.sched_getaffinity(0))
    if 1 < count <= len(cores) and cores == sorted(os.sched_getaffinity(os.getppid())):
        os.sched_setaffinity(0, cores[rank * len(cores) // count : (rank + 1) * len(cores) // count])


def first_to_claim(store: Any) -> bool:
    """Whether this process is the first that asks. Where the store is lost too, each process is.

    Args:
        store: what torch.distributed calls a store, which all processes share.
    """
    own = str(process_rank())
    try:
        return bool(store.compare_set("m3att/speaks", "", own).decode() == own)
    except RuntimeError:
        return True


@contextmanager
def together(device: str) -> Iterator[Processes]:
    """Meet the other processes, and turn the end of one of them into an error of one line.

    Args:
        device: of the settings.

    Raises:
        LostError: where another process has ended.
    """
    processes = join(device)
    try:
        yield processes
    except RuntimeError as error:
        if processes.count > 1 and any(word in str(error) for word in LOST):
            raise LostError("another process has ended, and so has this one") from error
        raise


def leave() -> None:
    """Part from the other processes, after the work is done."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
