"""Every storm on the door of a `serx up` of its own: how a good caller fares, and the peak memory of each process."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.door.attacks import ATTACKS
from tests.door.storm import long_conversation, peak_megabytes, storm
from tests.support.installation import installed


async def main(names: list[str], seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="serx-door-") as folder:
        async with installed(Path(folder)) as installation:
            conversation = await long_conversation(installation)
            print(f"{'storm':16} {'calls':>6} {'p50':>8} {'p99':>8} {'worst':>8}  refused")
            for name in names:
                found = await storm(installation, name, conversation, seconds=seconds)
                p50, p99, worst = (found.share(part) * 1000 for part in (0.5, 0.99, 1.0))
                calls = len(found.times)
                print(f"{name:16} {calls:6} {p50:5.1f} ms {p99:5.1f} ms {worst:5.1f} ms  {len(found.refused)}")
                for refusal in sorted(set(found.refused))[:3]:
                    print(f"    {refusal}")
            for name, peak in peak_megabytes(installation).items():
                print(f"{name:16} {peak:6.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.door", description=__doc__)
    parser.add_argument("storms", nargs="*", metavar="STORM", help=f"all of them, or some: {', '.join(ATTACKS)}")
    parser.add_argument("--seconds", type=float, default=15.0, help="for each (15)")
    options = parser.parse_args()
    if unknown := set(options.storms) - set(ATTACKS):
        parser.error(f"no such storm: {', '.join(sorted(unknown))}")
    asyncio.run(main(options.storms or list(ATTACKS), options.seconds))
