"""Which environment do processes need that pass large images over DDS?"""

from __future__ import annotations

from collections.abc import Mapping

from step_ros.shared_files import shared_folder

DDS_PROFILES = "config/fastdds_large_images.xml"


def process_environment(current: Mapping[str, str]) -> dict[str, str]:
    """The variables to add to `current` for a process that publishes or receives images.

    Fast DDS's default shared memory is smaller than one 640x480 image, and most images are lost; the
    profiles enlarge it. The allocator's settings keep it from giving back, and asking for again, the memory
    of every message, which costs more than copying it. What the user has set is left alone.
    """
    profiles = str(shared_folder() / DDS_PROFILES)
    # Jazzy reads the first name only, Kilted the second; the wrong one is ignored in silence.
    names = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
    wanted = {} if any(name in current for name in names) else dict.fromkeys(names, profiles)
    wanted["MALLOC_MMAP_THRESHOLD_"] = str(64 * 2**20)
    wanted["MALLOC_TRIM_THRESHOLD_"] = str(256 * 2**20)
    return {name: value for name, value in wanted.items() if name not in current}
