"""Weights, gradients and optimiser state divided over several processes: PyTorch's FSDP2.

The network that is validated and saved stays whole in every process. The one that is trained is a copy of it, of which
each process keeps a part. `Sharded.collect` brings the weights back.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from m3att.model.network import M3AttNet
from m3att.model.norm import share_batch
from m3att.model.recompute import recomputable_layers
from m3att.model.shared import SharedBatch

COUNT = "step"  # of an optimiser's state: a number that no weight's shape goes with


def shard(network: M3AttNet, shared: SharedBatch) -> M3AttNet:
    """A copy of a network, divided over all processes: each layer of a transformer by itself, and the rest.

    Args:
        network: on its device, the same in all processes.
        shared: the batch that its layers with BatchNorm share.

    Returns:
        A network of the same names, whose weights are parts.
    """
    divided = copy.deepcopy(network)
    divided.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    for part in list(divided.modules()):  # FSDP2 takes no scalars
        for name, weight in list(part.named_parameters(recurse=False)):
            if weight.ndim == 0:
                setattr(part, name, nn.Parameter(weight.detach().view(1), weight.requires_grad))
    share_batch(divided, shared)
    # Its masks are views of the last convolution's output, which nobody changes in place.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    device = next(divided.parameters()).device.type
    mesh = init_device_mesh(device, (torch.distributed.get_world_size(),))
    for part in (*divided.vision.layers, *recomputable_layers(divided)):
        fully_shard(part, mesh=mesh)
    fully_shard(divided, mesh=mesh)
    return divided


def divide_state(whole: torch.optim.Optimizer, divided: torch.optim.Optimizer) -> None:
    """Give an optimiser of a divided network the state of the optimiser of the whole one.

    Args:
        whole: of the network, with its state.
        divided: of what `shard` made of the network, with the same groups.
    """
    for own, other in zip(whole.param_groups, divided.param_groups, strict=True):
        for weight, part in zip(own["params"], other["params"], strict=True):
            for name, value in whole.state[weight].items():
                if name != COUNT:
                    value = distribute_tensor(value.view(part.shape), part.device_mesh, part.placements)
                divided.state[part][name] = value


def whole_tensor(value: Tensor, shape: torch.Size | None = None) -> Tensor:
    """A weight or moment (...) as a whole, (...); all processes must ask for it.

    Args:
        value: a part of it, or all of it.
        shape: that it had before `shard`; None: it is still the same.
    """
    found: Tensor = value.full_tensor() if isinstance(value, DTensor) else value
    return found if shape is None else found.view(shape)


@torch.no_grad()
def collect(divided: M3AttNet, network: M3AttNet) -> None:
    """Bring the weights and running statistics of a divided network to the whole one; all processes must do it.

    Args:
        divided: of `shard`.
        network: that it was made of.
    """
    whole = network.state_dict()
    for name, value in divided.state_dict().items():
        whole[name].copy_(whole_tensor(value, whole[name].shape))


def whole_state(optimizer: torch.optim.Optimizer, whole: torch.optim.Optimizer) -> Mapping[int, Mapping[str, Tensor]]:
    """The state of an optimiser by the numbers of its weights, as a whole; all processes must ask for it.

    Args:
        optimizer: of a divided network.
        whole: of the whole network, with the same groups.
    """
    state: dict[int, dict[str, Tensor]] = optimizer.state_dict()["state"]
    shapes = [weight.shape for group in whole.param_groups for weight in group["params"]]
    return {
        number: {
            name: value if name == COUNT else whole_tensor(value, shapes[number]) for name, value in values.items()
        }
        for number, values in state.items()
    }
