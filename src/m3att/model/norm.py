"""BatchNorm over sequences with padding, and over a batch that several processes share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from m3att.model.shared import SharedBatch


class MaskedBatchNorm(nn.Module):
    """Batch normalisation of channels, with statistics of real words only.

    Departs: the paper names plain BN. Its statistics would depend on the amount of padding in a batch.

    It is not a kind of PyTorch's BatchNorm, although its weights have the same names: tools that replace BatchNorm
    layers, such as `torch.nn.SyncBatchNorm.convert_sync_batchnorm`, would put in layers that know no mask.

    Args:
        channels: C.
        eps: added to the variance before the square root.
        momentum: share of a batch's statistics in the new running statistics.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.int64))
        self.shared: SharedBatch | None = None

    def forward(self, words_NLC: Tensor, word_mask_NL: Tensor | None = None) -> Tensor:
        """Normalise channels.

        Args:
            words_NLC: features, channels last.
            word_mask_NL: True = a real word; None = all are.

        Returns:
            Features (N, L, C). The values at padding have no meaning.
        """
        if not self.training:
            return self.by_running_statistics(words_NLC)
        real_RC = words_NLC.flatten(0, -2) if word_mask_NL is None else words_NLC[word_mask_NL]
        if self.shared is not None:
            real_RC = self.by_shared_statistics(real_RC, self.shared)
        else:
            # A single word has no variance. The last batch of an epoch may hold only one.
            real_RC = self.by_batch_statistics(real_RC) if len(real_RC) > 1 else self.by_running_statistics(real_RC)
        if word_mask_NL is None:
            return real_RC.view(words_NLC.shape)
        return torch.zeros_like(words_NLC, dtype=real_RC.dtype).masked_scatter(word_mask_NL.unsqueeze(-1), real_RC)

    def by_batch_statistics(self, words_RC: Tensor) -> Tensor:
        """Normalise (R, C) with its own statistics, and update the running statistics with them."""
        self.num_batches_tracked.add_(1)
        return nn.functional.batch_norm(
            words_RC, self.running_mean, self.running_var, self.weight, self.bias, True, self.momentum, self.eps
        )

    def by_shared_statistics(self, words_RC: Tensor, shared: SharedBatch) -> Tensor:
        """As `by_batch_statistics`, (R, C) with the statistics of the words of all processes."""
        moments = shared.moments(words_RC)
        if moments[0] <= 1:
            return self.by_running_statistics(words_RC)
        update_running_statistics(self, *moments)
        return shared.normalised(words_RC, self.weight, self.bias, moments, self.eps)

    def by_running_statistics(self, words: Tensor) -> Tensor:
        """Normalise (..., C) as in evaluation.

        It is one multiply-add, which is cheaper than a transposed batch_norm and can be exported to any runtime.
        """
        scale_C = self.weight * torch.rsqrt(self.running_var + self.eps)
        return words * scale_C + (self.bias - self.running_mean * scale_C)

    def extra_repr(self) -> str:
        """What `repr` shows of the layer."""
        return f"{len(self.weight)}, eps={self.eps}, momentum={self.momentum}"


def project(layer: nn.Module, sequence_NLC: Tensor, mask_NL: Tensor | None = None) -> Tensor:
    """A linear layer, or one with BN and ReLU, of a sequence with padding.

    Args:
        layer: nn.Linear or Projection.
        sequence_NLC: its input.
        mask_NL: True = a real row; None = all are. Only BN needs it.

    Returns:
        (N, L, channels_out).
    """
    projected: Tensor = layer(sequence_NLC, mask_NL) if isinstance(layer, Projection) else layer(sequence_NLC)
    return projected


class Projection(nn.Module):
    """Linear layer followed by BN and ReLU, as the paper has all of them "unless otherwise noticed" (Sec. IV-A)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels_in, channels_out, bias=False)
        self.norm = MaskedBatchNorm(channels_out)

    def forward(self, sequence_NLC: Tensor, mask_NL: Tensor | None = None) -> Tensor:
        """Project (N, L, channels_in) to (N, L, channels_out); ``mask_NL``: True = a real position."""
        return torch.relu(self.norm(self.linear(sequence_NLC), mask_NL))


class SharedBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` over a batch that several processes share.

    Args:
        norm: whose weights, buffers and mode it takes over.
        shared: the batch.
    """

    def __init__(self, norm: nn.BatchNorm2d, shared: SharedBatch) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, device="meta")
        self._parameters, self._buffers, self.shared = norm._parameters, norm._buffers, shared
        self.train(norm.training)

    def forward(self, maps_NCHW: Tensor) -> Tensor:
        """Normalise (N, C, H, W)."""
        if not self.training:
            return super().forward(maps_NCHW)
        moments = self.shared.moments(maps_NCHW)
        update_running_statistics(self, *moments)
        return self.shared.normalised(maps_NCHW, self.weight, self.bias, moments, self.eps)


def share_batch(network: nn.Module, shared: SharedBatch) -> None:
    """Let the layers with BatchNorm use the statistics of a batch that several processes share.

    Args:
        network: is changed in place; its weights, buffers and their names stay.
        shared: the batch.
    """
    for parent in list(network.modules()):
        for name, part in list(parent.named_children()):
            if isinstance(part, MaskedBatchNorm):
                part.shared = shared
            elif isinstance(part, nn.BatchNorm2d):
                setattr(parent, name, SharedBatchNorm2d(part, shared))


@torch.no_grad()
def update_running_statistics(
    norm: MaskedBatchNorm | nn.BatchNorm2d, count: Tensor | int, mean_C: Tensor, variance_C: Tensor
) -> None:
    """What BatchNorm does with the statistics of a batch.

    Args:
        norm: whose running statistics are updated.
        count: numbers in a channel.
        mean_C: mean of each channel.
        variance_C: biased variance of each channel; the running variance is the unbiased one.
    """
    assert norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.num_batches_tracked.add_(1)
    norm.running_mean.lerp_(mean_C, norm.momentum)
    norm.running_var.lerp_(variance_C * (count / (count - 1)), norm.momentum)
