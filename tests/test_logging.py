import csv

from mdseg.logging import MetricsFile


def rows(path):
    with path.open() as file:
        return list(csv.reader(file))


def test_rows_are_appended_under_one_header(tmp_path):
    log = MetricsFile(tmp_path / "metrics.csv")
    log.log_metrics({"train/supervised": 2.5, "epoch": 0}, step=0)
    MetricsFile(tmp_path / "metrics.csv").log_metrics({"val/a/iou/lane marking, general": 0.5}, step=1)
    assert rows(tmp_path / "metrics.csv") == [
        ["step", "name", "value"],
        ["0", "train/supervised", "2.5"],
        ["1", "val/a/iou/lane marking, general", "0.5"],
    ]


def test_a_resume_drops_the_rows_that_will_be_written_again(tmp_path):
    log = MetricsFile(tmp_path / "metrics.csv")
    for step in range(5):
        log.log_metrics({"loss": float(step)}, step)
    log.restart_at(3)
    assert [row[0] for row in rows(log.path)[1:]] == ["0", "1", "2"]


def test_a_row_cut_off_by_a_kill_is_dropped(tmp_path):
    log = MetricsFile(tmp_path / "metrics.csv")
    log.log_metrics({"loss": 1.0}, 0)
    with log.path.open("a") as file:
        file.write("1,lo")
    log.restart_at(9)
    log.log_metrics({"loss": 2.0}, 1)
    assert rows(log.path)[1:] == [["0", "loss", "1.0"], ["1", "loss", "2.0"]]


def test_absent_classes_write_no_row(tmp_path):
    log = MetricsFile(tmp_path / "metrics.csv")
    log.log_metrics({"val/a/iou/train": float("nan"), "val/a/miou": 0.5}, 0)
    assert [row[1] for row in rows(log.path)[1:]] == ["val/a/miou"]


def test_a_first_start_has_nothing_to_drop(tmp_path):
    MetricsFile(tmp_path / "metrics.csv").restart_at(0)
    assert not (tmp_path / "metrics.csv").exists()
