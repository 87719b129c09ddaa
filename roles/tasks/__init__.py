"""Tasks: what no deploy can do for the administrator, each with its reason, the way, and how to see that it is done."""

from roles.tasks import machine, mail, published, site
from roles.tasks.task import Task


def _registered() -> tuple[Task, ...]:
    """Return all tasks; ValueError for an id given twice."""
    every = (*published.TASKS, *mail.TASKS, *machine.TASKS, *site.TASKS)
    seen: dict[str, Task] = {}
    for task in every:
        if task.id in seen:
            raise ValueError(f"task {task.id!r} is defined twice")
        seen[task.id] = task
    return tuple(seen.values())


TASKS: tuple[Task, ...] = _registered()
