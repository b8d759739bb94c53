"""Three scales into one: which cells meet, and any size of grid."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from m3att.model.vision.merge import ScaleMerge, choose_grid, fit_grid, projection

CHANNELS = (3, 4, 5)


def scales(height: int, width: int, images: int = 2) -> list[Tensor]:
    """Random maps of strides 8, 16 and 32 of an image of that size."""
    return [
        torch.randn(images, channels, -(-height // stride), -(-width // stride))
        for channels, stride in zip(CHANNELS, (8, 16, 32), strict=True)
    ]


def project(part: torch.nn.Sequential, vector_BC: Tensor) -> Tensor:
    """One of the merge's projections of a single cell."""
    return part(vector_BC[:, :, None, None])[:, :, 0, 0]


@pytest.mark.parametrize("size", [(64, 96), (8, 8), (1, 1), (33, 47), (40, 17), (416, 416), (100, 300)])
def test_the_result_has_the_grid_of_the_middle_scale(size: tuple[int, int]) -> None:
    merged_BCHW = ScaleMerge(CHANNELS, 6).eval()(scales(*size))
    assert merged_BCHW.shape == (2, 6, -(-size[0] // 16), -(-size[1] // 16))
    assert merged_BCHW.isfinite().all()


@pytest.mark.parametrize("size", [(64, 96), (33, 47), (40, 72)])
def test_each_cell_is_made_of_the_cells_that_lie_over_it(size: tuple[int, int]) -> None:
    merge = ScaleMerge(CHANNELS, 6).eval()
    fine_BCHW, middle_BCHW, coarse_BCHW = features = scales(*size)
    merged_BCHW = merge(features)
    for row in range(middle_BCHW.shape[2]):
        for column in range(middle_BCHW.shape[3]):
            coarse_BC = project(merge.coarse, coarse_BCHW[:, :, row // 2, column // 2])
            middle_BC = project(merge.middle, middle_BCHW[:, :, row, column])
            joined_BC = project(merge.join_coarse, torch.cat([coarse_BC, middle_BC], dim=1))
            under = [
                project(merge.fine, fine_BCHW[:, :, y, x])
                for y in (2 * row, 2 * row + 1)
                for x in (2 * column, 2 * column + 1)
                if y < fine_BCHW.shape[2] and x < fine_BCHW.shape[3]
            ]
            fine_BC = torch.stack(under).mean(dim=0)
            expected_BC = project(merge.join_fine, torch.cat([fine_BC, joined_BC], dim=1))
            torch.testing.assert_close(merged_BCHW[:, :, row, column], expected_BC)


def test_grids_that_were_rounded_down_fit_too() -> None:
    features = [torch.randn(1, 3, 5, 11), torch.randn(1, 4, 2, 5), torch.randn(1, 5, 1, 2)]
    assert ScaleMerge(CHANNELS, 6).eval()(features).shape == (1, 6, 2, 5)


def test_a_grid_is_cut_or_its_edge_repeated() -> None:
    map_BCHW = torch.arange(6.0).view(1, 1, 2, 3)
    assert fit_grid(map_BCHW, 1, 2).flatten().tolist() == [0, 1]
    assert fit_grid(map_BCHW, 3, 4)[0, 0].tolist() == [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5]]
    assert fit_grid(map_BCHW, 3, 2)[0, 0].tolist() == [[0, 1], [3, 4], [3, 4]]


def literal_merge(merge: ScaleMerge, names: list[str], maps: list[Tensor], grid: int) -> Tensor:
    """The merge cell by cell: what lies over a cell comes from above, the mean of what lies under it from below."""

    def cells(number: int, made: dict[tuple[int, int], Tensor] | None = None) -> dict[tuple[int, int], Tensor]:
        rows, columns = maps[number].shape[2:]
        part = getattr(merge, names[number])
        return {
            (row, column): made[row, column] if made else project(part, maps[number][:, :, row, column])
            for row in range(rows)
            for column in range(columns)
        }

    merged = cells(len(maps) - 1)
    for number in reversed(range(grid, len(maps) - 1)):
        join = getattr(merge, f"join_{names[number + 1]}")
        merged = {
            (row, column): project(join, torch.cat([merged[row // 2, column // 2], own_BC], dim=1))
            for (row, column), own_BC in cells(number).items()
        }
    finer = cells(0)
    for number in range(1, grid + 1):
        join = getattr(merge, f"join_{names[number - 1]}")
        joined = {}
        for (row, column), own_BC in (merged if number == grid else cells(number)).items():
            under = [
                finer[y, x] for y in (2 * row, 2 * row + 1) for x in (2 * column, 2 * column + 1) if (y, x) in finer
            ]
            joined[row, column] = project(join, torch.cat([torch.stack(under).mean(dim=0), own_BC], dim=1))
        finer = joined
    result = finer if grid else merged
    rows, columns = maps[grid].shape[2:]
    return torch.stack([torch.stack([result[row, column] for column in range(columns)], -1) for row in range(rows)], -2)


@pytest.mark.parametrize("size", [(64, 96), (33, 47), (1, 1)])
@pytest.mark.parametrize(
    ("count", "grid", "names"),
    [
        (2, 0, ["middle", "coarse"]),
        (2, 1, ["fine", "middle"]),
        (3, 0, ["middle", "coarse", "coarse_2"]),
        (3, 1, ["fine", "middle", "coarse"]),
        (4, 1, ["fine", "middle", "coarse", "coarse_2"]),
        (4, 3, ["fine_3", "fine_2", "fine", "middle"]),
    ],
)
def test_any_number_of_maps_merge_at_the_grid_of_any_of_them(
    size: tuple[int, int], count: int, grid: int, names: list[str]
) -> None:
    channels = (2, 3, 4, 5)[:count]
    merge = ScaleMerge(channels, 6, grid).eval()
    maps = [torch.randn(2, c, -(-size[0] // 4 // 2**n), -(-size[1] // 4 // 2**n)) for n, c in enumerate(channels)]
    assert [name for name, _ in merge.named_children() if not name.startswith("join")] == names
    torch.testing.assert_close(merge(maps), literal_merge(merge, names, maps, grid))


def test_the_grid_is_that_before_the_coarsest_or_the_wanted_one() -> None:
    assert [choose_grid(strides) for strides in ((8,), (8, 16), (8, 16, 32), (4, 8, 16, 32))] == [0, 0, 1, 2]
    assert choose_grid((8, 16, 32), 8) == 0
    with pytest.raises(ValueError, match="no map has stride 4; the backbone's maps have 8, 16, 32"):
        choose_grid((8, 16, 32), 4)


@pytest.mark.parametrize("grid", [-1, 3])
def test_a_grid_that_is_none_of_the_maps_is_refused(grid: int) -> None:
    with pytest.raises(ValueError, match=f"no map {grid} of 3"):
        ScaleMerge(CHANNELS, 6, grid)


def test_in_evaluation_batch_norm_is_part_of_the_convolution() -> None:
    part = projection(3, 5).eval()
    part[1].running_mean.normal_()
    part[1].running_var.uniform_(0.5, 2)
    maps_BCHW = torch.randn(2, 3, 4, 4)
    plain_BCHW = torch.relu(part[1](part[0](maps_BCHW)))
    assert torch.allclose(part(maps_BCHW), plain_BCHW, atol=1e-6)
    part.train()
    plain_BCHW = torch.relu(part[1](part[0](maps_BCHW)))
    assert torch.equal(part(maps_BCHW), plain_BCHW)
