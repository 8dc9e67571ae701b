"""The sandbox on loopback: what it prints, when it lets go, how it ends."""

import io
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from reconciler import sandbox
from reconciler.sandbox import server

ROOT = Path(__file__).parents[2]
SERVE = "import sys; from reconciler import sandbox; sandbox.serve(state=sys.argv[1] if sys.argv[1:] else None)"
SCRIPT = f"""
eval "$('{sys.executable}' -c '{SERVE}' "$1" & echo PID=$!)"
echo "$CXONE_TENANT_URL $CXONE_CLIENT_ID $CXONE_CLIENT_SECRET $CXONE_CAMPAIGN_ID $PID"
"""


def start(*args: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", SERVE, *args],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_four_exports_closes_its_output_serves_and_ends_cleanly(ending):
    process = start()
    lines = (
        process.stdout.read().splitlines()
    )  # returns, though the process lives on: the output was closed
    assert process.poll() is None
    names = ["CXONE_TENANT_URL", "CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET", "CXONE_CAMPAIGN_ID"]
    assert [line.partition("=")[0] for line in lines] == [f"export {name}" for name in names]
    url, client, secret, campaign = (line.partition("=")[2] for line in lines)
    assert url.startswith("http://127.0.0.1:")
    form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
    token = httpx.post(f"{url}/api/oauth2/token", data=form, trust_env=False).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    answer = httpx.get(f"{url}/api/campaigns/{campaign}", headers=headers, trust_env=False)
    assert answer.json()["name"] == "Spring Renewals"
    assert answer.headers.get_list("Date", split_commas=False) == [answer.headers["Date"]]
    process.send_signal(ending)
    _, complaints = process.communicate(timeout=10)
    assert (process.returncode, complaints) == (0, "")


def test_a_shell_can_eval_it_and_go_on(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    state = tmp_path / "state.db"
    done = subprocess.run(
        ["bash", "-c", SCRIPT, "bash", str(state)],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        timeout=20,
        check=True,
    )
    url, *login, pid = done.stdout.split()
    assert login == ["sandbox", "sandbox-secret", "1001"]
    assert httpx.get(f"{url}/api/campaigns", trust_env=False).status_code == 401
    assert state.exists()
    os.kill(int(pid), signal.SIGTERM)


def test_a_client_in_process_and_one_over_loopback_share_a_state(tmp_path, body):
    state = tmp_path / "state.db"
    ours = sandbox.CampaignState.open(state)
    ours.put_campaign("1001", schedule=body)
    theirs = sandbox.CampaignState.open(state)
    with sandbox.loopback(sandbox.create_app(theirs)) as url:
        token = ours.issue("sandbox", "sandbox-secret").value
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "Idempotency-Key": "k",
        }
        with httpx.Client(base_url=url, headers=headers, trust_env=False) as client:
            assert client.get("/api/campaigns/1001/schedule").json()["id"] == "sch-000001"
            assert client.post("/api/campaigns/1001/schedule", json=body).status_code == 201
    assert ours.executed("1001") == 1
    ours.close()
    theirs.close()


def test_a_port_that_is_taken_is_said():
    with socket.socket() as other:
        other.bind((server.HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            sandbox.SandboxError,
            match=f"cannot listen on 127.0.0.1:{port}: Address already in use; --port 0",
        ):
            server.listen(port)
    with pytest.raises(sandbox.SandboxError, match="cannot listen"):
        server.listen(70_000)


def test_it_listens_on_loopback_alone():
    listener = server.listen(0)
    assert listener.getsockname()[0] == "127.0.0.1"
    listener.close()


def test_a_fault_that_is_wrong_is_said_before_anything_is_served():
    with pytest.raises(sandbox.FaultError, match="there is no kind 'teapot'"):
        sandbox.serve(faults=["teapot"], out=io.StringIO())


def test_one_server_answers_many_clients_at_once(app, world, ticker):
    token = world.issue("sandbox", "sandbox-secret").value
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    answers = []

    def ask(url: str) -> None:
        with httpx.Client(base_url=url, headers=headers, trust_env=False) as client:
            answers.extend(
                client.get("/api/campaigns?expand=schedule").status_code for _ in range(10)
            )

    with sandbox.loopback(app) as url:
        threads = [threading.Thread(target=ask, args=(url,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [200] * 40
