import csv
import json
from xml.etree import ElementTree

import numpy as np

from experiments.tracks import results
from experiments.tracks.following import Row

BOX = np.float32([10, 20, 30.5, 40])
ROWS = [
    Row(0, 0.0, "dog", BOX, 1.0, True, True),
    Row(0, 0.0, "cat", BOX + 1, 1.0, True, True),
    Row(1, 0.04, "dog", BOX + 2, 0.75, True),
    Row(1, 0.04, "cat", BOX + 3, 0.125, False),
]


def test_the_tables_are_whole_after_every_frame(tmp_path):
    def read():
        rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
        return rows, json.loads((tmp_path / "a.json").read_text())

    with results.Tables(tmp_path / "a.csv", tmp_path / "a.json", tracker="dimp") as tables:
        assert read() == ([], {"tracker": "dimp", "rows": []})
        for end in (2, 4):
            tables.add(ROWS[end - 2 : end])
            rows, document = read()
            assert len(rows) == len(document["rows"]) == end
    assert rows[3] == {
        **{"frame": "1", "time": "0.040000", "target": "cat", "x": "13.0000", "y": "23.0000"},
        **{"width": "33.5000", "height": "43.0000", "score": "0.1250", "present": "false"},
    }
    assert document["rows"][3] == {
        **{"frame": 1, "time": 0.04, "target": "cat", "box": [13.0, 23.0, 33.5, 43.0]},
        **{"score": 0.125, "present": False},
    }


def test_motchallenge_counts_from_one_and_leaves_out_the_absent(tmp_path):
    results.write_mot(tmp_path / "mot.txt", ROWS)
    assert (tmp_path / "mot.txt").read_text().splitlines() == [
        "1,1,11.00,21.00,30.50,40.00,1.0000,-1,-1,-1",
        "1,2,12.00,22.00,31.50,41.00,1.0000,-1,-1,-1",
        "2,1,13.00,23.00,32.50,42.00,0.7500,-1,-1,-1",
    ]


def test_cvat_has_a_track_a_target_with_corners_and_outside(tmp_path):
    results.write_cvat(tmp_path / "cvat.xml", ROWS)
    root = ElementTree.parse(tmp_path / "cvat.xml").getroot()
    assert (root.tag, root.findtext("version")) == ("annotations", "1.1")
    dog, cat = root.findall("track")
    assert (dog.attrib["label"], cat.attrib["id"]) == ("dog", "1")
    assert [box.attrib["outside"] for box in cat] == ["0", "1"]
    assert dog[1].attrib == {
        **{"frame": "1", "outside": "0", "occluded": "0", "keyframe": "1", "z_order": "0"},
        **{"xtl": "12.00", "ytl": "22.00", "xbr": "44.50", "ybr": "64.00"},
    }
