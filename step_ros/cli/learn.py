"""From labelled recordings to heads, and a page that says how far to trust them: `step-ros learn`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from step_ros.cli.extract import extract


def learn(
    data: Path,
    backbone: str,
    out: Path,
    tasks: tuple[str, ...] = (),
    group: str | None = None,
    frames: int = 16,
    window: float | None = None,
    trim: float = 0.0,
    step: Literal["auto", "yes", "no"] = "auto",
    steps: int = 1200,
    device: str = "cpu",
    engine: str = "auto",
) -> None:
    """Learn a head a task from labelled recordings, and say how far to trust each.

    Clips are encoded once and kept in OUT/tokens: with more labels the same command takes up there. A head is
    fitted in closed form in seconds; where there are clips enough STEP is trained too, and kept if it is
    better. OUT/trust.html has the verdict, OUT/heads the model folders.

    Args:
        data: csv of clips (video, one column a task; start, end and split if there are), a folder of videos a
            class, or a bag with labels.
        backbone: folder or hub name.
        out: folder for everything.
        tasks: which to learn; all by default.
        group: csv column of what a head must be judged across, such as a scene; by default the video.
        frames: frames of a clip or window, T.
        window: seconds of a window that slides over whole videos; by default each clip is a window.
        trim: share of each clip to leave out at both ends (without a window).
        step: whether to train STEP too; auto does where there are a hundred clips.
        steps: of STEP's training, at most.
        device: where backbone and heads run.
        engine: what runs the backbone; auto takes the fastest that is right.
    """
    from rich.console import Console

    from step_ros.report.heads_page import HeadSection, write_heads_page
    from step_ros.scores.tables import verdict_text
    from step_ros.training.fit_options import FitOptions
    from step_ros.training.learn import learn as learn_heads
    from step_ros.training.store import open_store

    console = Console()
    extract(data, backbone, out / "tokens", frames, window, trim, group=group, device=device, engine=engine)
    store = open_store(out / "tokens")
    options = FitOptions(steps=steps, patience=3, check_every=max(1, steps // 12), device=device)
    learned = learn_heads(
        store,
        tasks or tuple(store.tasks),
        out / "heads",
        options,
        step={"yes": True, "no": False}.get(step),
        console=console,
    )
    for task, each in learned.items():
        console.print(verdict_text(task, each.findings))
    page = out / "trust.html"
    write_heads_page(
        page,
        data.stem,
        [HeadSection(task, each.choice, each.judged, each.findings) for task, each in learned.items()],
        {
            "clips": f"{len(store.clips)} of {len({clip.file for clip in store.clips})} videos; "
            f"{len(store.problems)} left out",
            "backbone": str(store.backbone),
            "window": f"{store.clip.num_frames} frames over {store.clip.window_seconds:g} s",
        },
    )
    models = ", ".join(str((out / "heads" / task).resolve()) for task in learned)
    console.print(f"{page} says it with pictures. To run the heads:", highlight=False)
    command = f'  ros2 launch step_ros perception.launch.py models:="[{models}]"'
    console.print(command, markup=False, highlight=False, soft_wrap=True)
