# SPDX-License-Identifier: MIT OR Apache-2.0
"""How tools/run-tests.py counts and judges a suite."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "run-tests.py"


@pytest.fixture
def runner(tmp_path, monkeypatch):
    """The script as a module, with its logs in a directory of the test."""
    spec = importlib.util.spec_from_file_location("run_tests", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "run_tests", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "LOGS", tmp_path)
    return module


def suite_of(runner, code, count=None, bound=30):
    """A suite that is a Python program."""
    return runner.Suite("x", ".", [sys.executable, "-c", code, "{report}"],
                        count or runner.count_junit, bound)


def run(runner, *arguments, **options):
    return runner.run_suite(suite_of(runner, *arguments, **options))[0]


def writing(text, status=0):
    return f"""import sys
open(sys.argv[1], "w").write({text!r})
print("said this")
sys.exit({status})"""


CMOCKA = """\
[==========] Running 3 test(s).
[ RUN      ] a
[       OK ] a
[ RUN      ] b
[  FAILED  ] b
[ RUN      ] c
[  SKIPPED ] c
[==========] 3 test(s) run.
[  PASSED  ] 1 test(s).
[  SKIPPED ] 1 test(s), listed below:
[  SKIPPED ] c

[  FAILED  ] 1 test(s), listed below:
[  FAILED  ] b
"""


def test_lines_of_a_script_are_counted(runner):
    code = "print('ok a 4 s\\nnot ok b\\nwhy\\nok c 4 s\\n2 passed, 1 failed'); raise SystemExit(1)"
    counts = run(runner, code, runner.count_lines)
    assert (counts.passed, counts.failed) == (2, 1)
    assert counts.failures == [("b", "not ok b\nwhy\n")]


def test_a_script_that_prints_no_line_fails(runner):
    counts = run(runner, "pass", runner.count_lines)
    assert (counts.passed, counts.failed) == (0, 1)


def meson_line(result, stdout="", status=0):
    return json.dumps({"name": "t", "result": result, "returncode": status, "stdout": stdout})


@pytest.mark.parametrize("line, passed, failed, skipped", [
    (meson_line("FAIL", CMOCKA, 1), 1, 1, 1),
    (meson_line("FAIL", CMOCKA.replace("1 test(s),", "group 2: 1 test(s),"), 1), 1, 1, 1),
    (meson_line("OK", CMOCKA[:75]), 1, 0, 0),
    (meson_line("OK", "not cmocka"), 1, 0, 0),
    (meson_line("FAIL", "[       OK ] a\nthen it crashed", -11), 1, 1, 0),
    (meson_line("TIMEOUT"), 0, 1, 0),
    (meson_line("SKIP"), 0, 0, 1),
])
def test_meson_counts_cases(runner, line, passed, failed, skipped):
    counts = run(runner, writing(line + "\n"), runner.count_meson)
    assert (counts.passed, counts.failed, counts.skipped) == (passed, failed, skipped)


JUNIT = """<testsuites><testsuite><testcase name="a"/>
<testcase name="b"><failure message="m">why</failure><system-err>log</system-err></testcase>
<testcase name="c"><skipped/></testcase></testsuite></testsuites>"""


def test_junit_counts_cases_and_keeps_their_text(runner):
    counts = run(runner, writing(JUNIT, 1))
    assert str(counts) == "1 passed, 1 failed, 1 skipped"
    assert "why" in counts.failures[0][1] and "log" in counts.failures[0][1]


def test_a_bad_status_fails_whatever_was_counted(runner):
    counts = run(runner, writing('<testsuite><testcase name="a"/></testsuite>', 3))
    assert (counts.passed, counts.failed) == (1, 1)
    assert "said this" in counts.failures[0][1]


@pytest.mark.parametrize("code", ["pass", writing("<testsuite/>"), writing("<testsuite>cut off")])
def test_no_test_is_a_failure(runner, code):
    assert run(runner, code).failed == 1


def test_too_long_is_a_failure_and_ends(runner):
    counts = run(runner, "import time; print('began', flush=True); time.sleep(600)", bound=2)
    assert counts.failed == 1
    assert "took longer than 2 s" in counts.failures[0][1] and "began" in counts.failures[0][1]


def test_a_missing_program_is_a_failure(runner):
    suite = runner.Suite("x", ".", ["/nonexistent/program"], runner.count_status, 10)
    assert runner.run_suite(suite)[0].failed == 1


def named(suite, name, lane):
    suite.name, suite.lane, suite.needs = name, lane, "src"
    return suite


def test_lanes_run_side_by_side_and_are_summed(runner, tmp_path, capsys):
    """Each of the first suites of two lanes waits for a file that the other one makes."""
    meet = """import pathlib, sys, time
mine, other = (pathlib.Path({folder!r}) / name for name in {names!r})
mine.touch()
for _ in range(500):
    if other.exists():
        sys.exit(0)
    time.sleep(0.02)
sys.exit(1)"""
    first, second = (
        suite_of(runner, meet.format(folder=str(tmp_path), names=names), runner.count_status)
        for names in (("a", "b"), ("b", "a"))
    )
    last = suite_of(runner, "raise SystemExit(3)", runner.count_status)
    suites = [named(first, "1", "x"), named(second, "2", "y"), named(last, "3", "y")]
    total = runner.run_lanes(suites, False)
    assert (total.passed, total.failed) == (2, 1)
    assert [title[:2] for title, _ in total.failures] == ["3:"]
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_fault_of_the_script_is_a_failure(runner):
    def broken(suite, status):
        raise RuntimeError("cannot count")

    suites = [named(suite_of(runner, "", broken), name, "x") for name in ("1", "2")]
    total = runner.run_lanes(suites, False)
    assert (total.passed, total.failed) == (0, 2)
    assert "cannot count" in total.failures[0][1]
