import dataclasses

from experiments.reproduction.tables.dimp import with_the_paper_s_box
from tests.tracking_tasks.tiny import make
from tracking_tasks.trackers.dimp.refinement import IoUConfig


def test_the_table_of_updates_finds_its_boxes_as_the_paper_does():
    iou = IoUConfig(search="lines", size_lr=0.3, max_change=1.06)
    shipped = make(box_estimation="both", iou=iou, memory_size=20)
    tracker = with_the_paper_s_box(shipped)
    assert tracker.config == dataclasses.replace(
        shipped.config, box_estimation="overlap", iou=IoUConfig()
    )
    assert tracker.refiner.config == IoUConfig()
    assert tracker.refiner.predictor is shipped.refiner.predictor
