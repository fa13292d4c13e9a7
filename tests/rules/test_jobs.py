"""Jobs are named by text, so that the app need not import the workers; here each name is looked up."""

import importlib
import inspect

from app.core import jobs
from workers import boot, schedule


def test_every_job_is_there_and_has_a_queue() -> None:
    for job in jobs.JOBS:
        module, _, name = job.function.rpartition(".")
        found = getattr(importlib.import_module(module), name)
        assert inspect.isfunction(found), job.function
        assert module.startswith("workers."), job.function
        assert job.queue in jobs.QUEUES, job.function


def test_every_job_is_in_the_list() -> None:
    named = {value for value in vars(jobs).values() if isinstance(value, jobs.Job)}
    assert named == set(jobs.JOBS)


def test_every_queue_has_workers() -> None:
    assert set(boot.COUNTS) == set(jobs.QUEUES)


def test_jobs_take_ids_only() -> None:
    for job in jobs.JOBS:
        module, _, name = job.function.rpartition(".")
        function = getattr(importlib.import_module(module), name)
        for parameter in inspect.signature(function).parameters.values():
            assert parameter.annotation is str, f"{job.function}({parameter}): a job carries ids, as text"


def test_the_schedule_is_one_list() -> None:
    assert all(every > 0 and callable(deed) for every, deed in schedule.SCHEDULE)
