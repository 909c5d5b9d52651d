"""Evaluation in several processes: what they report, and what becomes of one that dies."""

from __future__ import annotations

import multiprocessing
import threading

import pytest

from wm_dynamics.errors import UserError
from wm_training.eval_processes import evaluate, share_tasks
from wm_training.evaluation import DriverSpec
from wm_training.suites import RouteTask

EXPERT = DriverSpec("expert")


def test_processes_report_in_the_order_of_the_tasks():
    tasks = [RouteTask("tiny", route, 0, 0, time_limit_s=1.0) for route in (2, 0)]
    reported = []
    drives = evaluate(tasks, EXPERT, 1, lambda *what: reported.append(what))
    assert [drive.result.route for drive in drives] == [2, 0]
    assert sorted(number for number, _ in reported) == [0, 1]
    assert dict(reported)[1] == drives[1]


def test_processes_share_a_town():
    tasks = [RouteTask("tiny", route, 0, 0, time_limit_s=1.0) for route in range(4)]
    numbered = list(enumerate(tasks))
    assert [[n for n, _ in part] for part in share_tasks(numbered, 1)] == [[0, 1, 2, 3]]
    parts = share_tasks([*numbered, (4, RouteTask("val01", 0, 0, 0))], 3)
    assert sorted(n for part in parts for n, _ in part) == [0, 1, 2, 3, 4]
    assert len(parts) == 3
    assert all(len({task.town for _, task in part}) == 1 for part in parts)
    assert len(share_tasks(numbered[:1], 8)) == 1
    assert share_tasks([], 2) == []


def test_no_process_waits_long_for_the_last():
    tasks = [RouteTask(town, i, 0, 0) for town in ("val01", "val02") for i in range(45)]
    parts = share_tasks(list(enumerate(tasks)), 2)
    assert sorted(n for part in parts for n, _ in part) == list(range(90))
    sizes = [len(part) for part in parts]
    assert sizes == sorted(sizes, reverse=True), "short ones last"
    assert max(sizes) <= 12
    assert len(share_tasks(list(enumerate(tasks)), 1)) == 2, "alone there is nobody to wait for"
    few = [len(part) for part in share_tasks(list(enumerate(tasks[:8])), 2)]
    assert few == [4, 4], "a process takes seconds to start"


def test_two_processes_give_what_one_gives():
    tasks = [RouteTask("tiny", 0, 4, seed, time_limit_s=5.0) for seed in (0, 1, 2)]
    results = [
        [drive.result for drive in evaluate(tasks, EXPERT, processes)] for processes in (1, 2)
    ]
    assert results[0] == results[1]
    assert len({result.driven_m for result in results[0]}) > 1


def test_a_users_error_in_a_process_is_a_users_error_here():
    with pytest.raises(UserError, match=r"routes 0\.\.23, not 99"):
        evaluate([RouteTask("tiny", 99, 0, 0)], EXPERT, 1)


def test_what_a_killed_process_had_left_goes_on_in_another():
    tasks = [RouteTask("tiny", 0, 4, seed, time_limit_s=5.0) for seed in range(3)]
    undisturbed = [drive.result for drive in evaluate(tasks, EXPERT, 1)]
    reported, told = [], []

    def on_route(number, drive):
        if not reported:
            for child in multiprocessing.active_children():
                child.kill()
        reported.append(number)

    drives = evaluate(tasks, EXPERT, 1, on_route, on_loss=told.append)
    assert told == [
        "an evaluation process was killed by signal 9; its 2 routes go on in another"
    ], "nobody looks for what went wrong if nothing is said"
    assert reported == [0, 1, 2]
    assert [drive.result for drive in drives] == undisturbed


def test_a_route_that_kills_two_processes_ends_the_evaluation():
    ended = threading.Event()

    def kill_each():
        while not ended.wait(0.01):
            for child in multiprocessing.active_children():
                child.kill()

    told = []
    killer = threading.Thread(target=kill_each)
    killer.start()
    try:
        with pytest.raises(RuntimeError, match="killed by signal 9 in tiny, route 3, seed 7"):
            evaluate([RouteTask("tiny", 3, 0, 7)], EXPERT, 1, on_loss=told.append)
    finally:
        ended.set()
        killer.join()
    assert len(told) == 1, "a second process tries the route once"


def test_an_error_of_our_own_is_not_tried_again(capfd):
    with pytest.raises(RuntimeError, match="failed with exit code 1 in tiny, route 0"):
        evaluate([RouteTask("tiny", 0, 0, 0)], DriverSpec("expert", planner=None), 1)
    assert "Traceback" in capfd.readouterr().err
