"""Programs can be ended from another thread, and a process that answers about objects ends with whoever asks.

A thread of an emergency stop that waits for git would keep the program alive.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading

import pytest

from reconciler.errors import GitError
from reconciler.git import Children, Git, Stat, blob_id
from reconciler.git.process import BATCH
from tests.support.gitfakes import ENVIRON, commit, git, repository
from tests.support.samples import HERE

HANGS = (sys.executable, "-c", "print(flush=True); import time; time.sleep(600)")


def run(children, tmp_path, ended):
    ran = children.run(HANGS, cwd=tmp_path, env={}, stdin=b"", timeout_s=300.0)
    ended.append(ran.code)


def test_programs_that_run_are_ended_and_so_is_each_one_that_starts_later(tmp_path):
    children, ended = Children(), []
    running, added = threading.Event(), children._add
    children._add = lambda process: [added(process), process.stdout.readline(), running.set()]
    thread = threading.Thread(target=run, args=(children, tmp_path, ended), daemon=True)
    thread.start()
    assert running.wait(60)
    children.end()
    thread.join(60)
    assert [code < 0 for code in ended] == [True]
    children._add = added
    run(children, tmp_path, ended)
    assert [code < 0 for code in ended] == [True, True]


def kept(children):
    return [process for idle in children._idle.values() for process in idle]


@pytest.fixture
def repo(tmp_path):
    return repository(tmp_path / "repo")


def blob(repo, text):
    return git(repo.root, "hash-object", "-w", "--stdin", stdin=text.encode())


def test_requests_about_objects_share_a_process_which_ends_with_the_repository(repo):
    children = Children()
    repo = Git(repo.root, environ=ENVIRON, runner=children.run)
    head = repo.head()
    assert repo.read(head)
    (process,) = kept(children)
    assert repo.stat(head)
    assert repo.look_up(f"{head}:schedules")
    assert kept(children) == [process]
    assert process.poll() is None
    del repo, children
    assert process.returncode is not None


def test_what_others_store_pack_and_remove_is_answered_as_by_a_new_process(repo):
    first = blob(repo, "first")
    absent = blob_id(b"later", len(first))
    assert repo.read(first) == {first: b"first"}
    assert repo.stat(first, absent) == {first: Stat("blob", 5)}
    later = blob(repo, "later")
    assert later == absent
    assert repo.read(later) == {later: b"later"}
    commit(repo.root, "packed")
    git(repo.root, "gc", "-q", "--prune=now")
    assert repo.stat(first, later) == {}
    assert repo.read(repo.head())
    with pytest.raises(GitError, match="is not in this clone"):
        repo.read(first)


def test_requests_and_answers_may_be_larger_than_a_pipe(repo):
    large = blob(repo, "x" * 300_000)
    ids = [f"{number:040x}" for number in range(5_000)]
    for _ in range(2):
        assert repo.stat(*ids, large) == {large: Stat("blob", 300_000)}
        assert len(repo.read(large)[large]) == 300_000


def test_a_process_that_was_killed_is_replaced(repo):
    children = Children()
    repo = Git(repo.root, environ=ENVIRON, runner=children.run)
    head = repo.head()
    before = repo.read(head)
    (process,) = kept(children)
    process.kill()
    assert repo.read(head) == before
    assert kept(children) == []
    assert repo.read(head) == before
    assert len(kept(children)) == 1
    children.end()
    with pytest.raises(GitError):
        repo.read(head)


def asked(children, tmp_path, script, **more):
    argv = (sys.executable, "-c", script, *BATCH)
    more = {"stdin": b"contents HEAD\n", "timeout_s": 300.0, **more}
    return children.run(argv, cwd=tmp_path, env={}, **more)


@pytest.mark.parametrize("size", [10, 300_000])
def test_a_process_that_does_not_answer_in_time_is_ended(tmp_path, size):
    children, started = Children(), []
    children._add = started.append
    script, stdin = "import time; time.sleep(600)", b"x" * size
    with pytest.raises(TimeoutError):
        asked(children, tmp_path, script, stdin=stdin, timeout_s=0.01)
    assert [process.returncode < 0 for process in started] == [True]
    assert kept(children) == []


ANSWERS = """
import sys
for number in range(2):
    asked = [line.split()[1] for line in iter(sys.stdin.readline, "flush\\n")]
    print(f"warning {number}", file=sys.stderr, flush=True)
    for name in asked:
        print(name, "missing", flush=True)
"""


def counted():
    children, started = Children(), []
    added = children._add
    children._add = lambda process: [added(process), started.append(process)]
    return children, started


@pytest.mark.parametrize("before", [0, 2])
def test_a_process_that_fails_tells_why_and_is_not_run_again(tmp_path, before):
    """A second run would wait once more for a remote that does not answer."""
    children, started = counted()
    script = f"{ANSWERS.replace('2', str(before))}sys.stdin.readline(); print('some', flush=True); sys.exit('broken')"
    for _ in range(before):
        asked(children, tmp_path, script)
    ran = asked(children, tmp_path, script)
    assert (ran.code, ran.out, ran.err) == (1, b"some\n", b"broken\n")
    assert len(started) == 1
    assert kept(children) == []


@pytest.mark.parametrize(
    ("ends", "size"),
    [
        ("sys.stdin.readline(); os.kill(os.getpid(), 9)", 10),
        ("sys.exit(1)", 300_000),
    ],
)
def test_a_process_that_was_killed_or_took_no_request_is_run_again(tmp_path, ends, size):
    children, started = counted()
    asked(children, tmp_path, f"import os, sys; {ends}", stdin=b"x" * size)
    assert len(started) == 2
    assert kept(children) == []


def test_a_process_that_answers_nothing_more_and_goes_on_is_ended(tmp_path):
    children, started = counted()
    script = f"{ANSWERS.replace('2', '1')}import os, time; os.close(1); time.sleep(600)"
    assert asked(children, tmp_path, script).code == 0
    with pytest.raises(TimeoutError):
        asked(children, tmp_path, script, timeout_s=0.2)
    assert [process.returncode < 0 for process in started] == [True]
    assert kept(children) == []


def test_an_ended_process_is_not_ended_again_when_its_number_may_be_another_process(repo):
    children = Children()
    repo = Git(repo.root, environ=ENVIRON, runner=children.run)
    head = repo.head()
    assert repo.read(head)
    (process,) = kept(children)
    children.end()
    assert process.returncode is not None
    with subprocess.Popen(HANGS, start_new_session=True, stdout=subprocess.PIPE) as other:
        process.pid = other.pid
        try:
            with pytest.raises(GitError):
                repo.read(head)
            assert other.poll() is None
        finally:
            other.kill()


def test_messages_belong_to_the_requests_that_they_are_about(tmp_path):
    children = Children()
    ran = [asked(children, tmp_path, f"{ANSWERS}sys.stdin.read()") for _ in range(2)]
    assert [(each.code, each.out) for each in ran] == [(0, b"HEAD missing\n")] * 2
    assert [each.err for each in ran] == [b"warning 0\n", b"warning 1\n"]


def test_threads_do_not_wait_for_each_others_answers(tmp_path, repo):
    children = Children()
    git_ = Git(repo.root, environ=ENVIRON, runner=children.run)
    head = git_.head()
    busy, done = threading.Event(), threading.Event()
    added = children._add

    def add(process):
        added(process)
        if not busy.is_set():
            busy.set()
            assert done.wait(60)

    children._add = add
    thread = threading.Thread(target=git_.read, args=(head,), daemon=True)
    thread.start()
    assert busy.wait(60)
    assert git_.read(head)
    done.set()
    thread.join(60)
    assert len(kept(children)) == 2


PROGRAM = """
import os, sys
from pathlib import Path
from reconciler.git import Children, Git
children = Children()
repo = Git(Path.cwd(), runner=children.run)
repo.stat(repo.head())
print(*(process.pid for idle in children._idle.values() for process in idle), flush=True)
sys.stdin.read()
"""


def test_no_process_outlives_a_program_that_is_killed(repo):
    environ = {**ENVIRON, "PYTHONPATH": str(HERE)}
    program = [sys.executable, "-c", PROGRAM]
    pipe = subprocess.PIPE
    with subprocess.Popen(program, cwd=repo.root, env=environ, stdin=pipe, stdout=pipe) as running:
        watched = os.pidfd_open(int(running.stdout.readline()))
        assert select.select([watched], [], [], 0)[0] == []
        running.kill()
    assert select.select([watched], [], [], 60)[0] == [watched]
    os.close(watched)
