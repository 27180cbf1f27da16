"""Scheduled runs give way to the API; runs that a person starts do not."""

from __future__ import annotations

import os
import subprocess
import sys

CODE = (
    "import os; from pathlib import Path; from flows.priority import give_way; give_way(); give_way()\n"
    "group = Path('/proc/self/autogroup'); where = group.read_text().split()[-1] if group.exists() else '10'\n"
    "print(os.getpriority(os.PRIO_PROCESS, 0), where)"
)


def priority_of(variables: dict[str, str]) -> list[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT__")} | variables
    done = subprocess.run([sys.executable, "-c", CODE], env=env, capture_output=True, text=True, check=True, start_new_session=True)
    return done.stdout.split()


def test_a_run_of_a_worker_has_a_lower_priority_and_one_of_a_person_the_usual_one() -> None:
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    assert priority_of({})[0] == str(usual)
    assert priority_of({"PREFECT__FLOW_RUN_ID": "1"}) == [str(max(usual, 10)), "10"]
