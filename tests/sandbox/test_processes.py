"""One state file, several processes."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler import sandbox

ROOT = Path(__file__).parents[2]
OPEN = "import sys; from reconciler import sandbox; w = sandbox.open_samples(sys.argv[1]); print(w.executed(action='STORED'))"
WRITE = """
import json, sys
from reconciler import sandbox
from reconciler.sandbox.writes import Conditions, make_ticket
world = sandbox.CampaignState.open(sys.argv[1])
for i in range(40):
    body = dict(json.loads(sys.argv[2]), dial_rate=1 + i / 10)
    raw = json.dumps(body).encode()
    for key in (f"shared-{i}", f"{sys.argv[3]}-{i}"):
        ticket = make_ticket("sandbox", "POST", "/x", key, raw)
        done = world.write_schedule("1001", raw, client="sandbox", ticket=ticket, conditions=Conditions())
        assert done.status == 201, done
    world.refresh("1001", "sandbox")
"""


def start(code: str, *args: str | Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
    )


def finish(processes: list[subprocess.Popen[str]]) -> list[str]:
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return said


def test_processes_that_open_a_new_state_at_once_seed_it_once(tmp_path):
    finish([start(OPEN, tmp_path / "deep" / "state.db") for _ in range(4)])
    world = sandbox.open_samples(tmp_path / "deep" / "state.db")
    assert world.campaign_page(1, 100)[1] == 9
    assert len(world.journal(action="STORED")) == 5
    world.close()


def test_two_processes_that_write_at_once_execute_each_key_once(tmp_path, body):
    state = tmp_path / "state.db"
    world = sandbox.CampaignState.open(state, clock="2027-03-01T12:00:00Z")
    world.put_campaign("1001")
    finish([start(WRITE, state, json.dumps(body), name) for name in "ab"])
    stored = world.journal("1001", "STORED")
    assert len(stored) == 120
    assert len({e.schedule_id for e in stored}) == 120
    instants = [e.at for e in stored]
    assert instants == sorted(instants)
    world.close()


def test_state_and_clock_survive_the_process(tmp_path, ticker, body):
    state = tmp_path / "state.db"
    first = sandbox.CampaignState.open(state, clock="2027-03-01T12:00:00Z", monotonic=ticker)
    token = first.issue("sandbox", "sandbox-secret").value
    first.put_campaign("1001", schedule=body)
    ticker.advance(100)
    seen = first.now
    first.close()
    ticker.advance(10_000)
    second = sandbox.CampaignState.open(state, monotonic=ticker)
    assert second.now == seen
    assert json.loads(second.campaign("1001")["schedule"])["dial_rate"] == body["dial_rate"]
    assert second.authenticate(token).client == "sandbox"
    second.close()


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be read as one" * 20, None]
)
def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "other.db"
    if content is None:
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE meta (k, v)")
        other.commit()
        other.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(sandbox.SandboxError, match=r"other\.db"):
        sandbox.CampaignState.open(path)
    with pytest.raises(sandbox.SandboxError, match=r"other\.db"):
        sandbox.reset(path)
    assert path.read_bytes() == before


def test_a_reset_empties_the_state_and_the_samples_come_back(tmp_path):
    path = tmp_path / "state.db"
    world = sandbox.open_samples(path)
    world.put_campaign("7", "Seven")
    world.close()
    sandbox.reset(path)
    world = sandbox.CampaignState.open(path)
    assert world.empty
    world.close()
    world = sandbox.open_samples(path)
    assert world.campaign_page(1, 100)[1] == 9
    assert (world.now.year, world.now.month) == (2027, 3)
    world.close()
