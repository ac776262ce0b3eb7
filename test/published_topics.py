"""What the node publishes: as its policy for SROS 2 has it, which a test compares with a running node."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

POLICY = Path(__file__).resolve().parents[1] / "config" / "sros2" / "perception.policy.xml"


def published_topics() -> set[str]:
    """With the bundled heads and the default name, in full."""
    (group,) = ElementTree.parse(POLICY).iterfind(".//topics[@publish='ALLOW']")
    names = [topic.text or "" for topic in group]
    return {f"/perception/{name[1:]}" if name.startswith("~") else f"/{name.lstrip('/')}" for name in names}
