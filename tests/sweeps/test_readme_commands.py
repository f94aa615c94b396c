"""The commands of sweeps/README.md, typed in an empty folder as a new user would; the page shows what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.console_pages import check_or_paste, plain_lines, typed

_PAGE = Path(__file__).resolve().parents[2] / "sweeps/README.md"


@pytest.mark.ray
@pytest.mark.campaign
def test_the_commands_say_what_the_page_shows(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def answer(command: str) -> list[str]:
        # Progress goes to stderr, and differs from run to run.
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return plain_lines(done.stdout)

    check_or_paste(_PAGE, typed(_PAGE.read_text(encoding="utf-8"), answer))
