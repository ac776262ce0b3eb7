"""What can happen on the tabletop: the classes of its three tasks and their nearly symmetric pairs."""

from __future__ import annotations

from dataclasses import dataclass

IDLE = "idle"
TASKS = ("fine_grained_action", "atomic_action", "object")

OBJECTS = ("cup", "block", "drawer", "box", "peg", "bulb", "pot_lid")


@dataclass(frozen=True)
class Pair:
    """Two actions on one object, each of which is the other played backwards."""

    object: str
    forward: str
    reverse: str

    @property
    def fine_grained(self) -> tuple[str, str]:
        """The pair as fine-grained actions: verb and object."""
        return f"{self.forward}_{self.object}", f"{self.reverse}_{self.object}"


PAIRS = (
    Pair("cup", "pick_up", "put_down"),
    Pair("cup", "turn_over", "turn_upright"),
    Pair("block", "pick_up", "put_down"),
    Pair("block", "push", "pull"),
    Pair("drawer", "open", "close"),
    Pair("box", "open", "close"),
    Pair("peg", "remove", "insert"),
    Pair("bulb", "unscrew", "screw_in"),
    Pair("pot_lid", "take_off", "put_on"),
)


def labels_of(verb: str, object_name: str) -> dict[str, str]:
    """The three tasks' labels of one action, as IKEA-ASM derives them: verb + object, verb, object."""
    return {"fine_grained_action": f"{verb}_{object_name}", "atomic_action": verb, "object": object_name}


IDLE_LABELS = dict.fromkeys(TASKS, IDLE)


def task_labels(task: str) -> list[str]:
    """Labels of a task in the order its head uses: `idle` first.

    Raises:
        ValueError: the task is not one of `TASKS`.
    """
    if task == "fine_grained_action":
        names = [name for pair in PAIRS for name in pair.fine_grained]
    elif task == "atomic_action":
        names = list(dict.fromkeys(verb for pair in PAIRS for verb in (pair.forward, pair.reverse)))
    elif task == "object":
        names = list(OBJECTS)
    else:
        raise ValueError(f"task is {task!r}; the tabletop has {', '.join(TASKS)}")
    return [IDLE, *names]


def task_pairs(task: str) -> list[tuple[str, str]]:
    """Nearly symmetric pairs of a task; objects have none."""
    if task == "fine_grained_action":
        return [pair.fine_grained for pair in PAIRS]
    if task == "atomic_action":
        return list(dict.fromkeys((pair.forward, pair.reverse) for pair in PAIRS))
    return []
