"""Programs of an emergency stop can be ended from another thread, because a thread that waits for git keeps a process alive."""

from __future__ import annotations

import sys
import threading

from reconciler.git import Children

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
