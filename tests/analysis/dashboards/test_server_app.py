"""Every address of `workbench view`, and everything that it refuses."""

import json
import os
import shutil

import pytest

from analysis.dashboards.server.app import View
from analysis.dashboards.server.wsgi import same_origin_only, with_headers
from tests.analysis.dashboards.server_runs import ask, begun, compared
from tests.analysis.report_runs import experiment, write_run
from workbench.errors import UserError

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def out(tmp_path):
    """A folder of results with something of everything in it, and something beside it."""
    folder = tmp_path / "out"
    for seed in (0, 1):
        write_run(folder, experiment("lstm", seed=seed))
    for name in ("figures", "tables", "wandb", "sweep/addition"):
        (folder / name).mkdir(parents=True)
    (folder / "report.html").write_text("<h1>The report</h1>")
    (folder / "comparison.csv").write_text("a,b\n1,2\n")
    (folder / "figures" / "odd name#1?.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (folder / "figures" / "a.png").write_bytes(b"\x89PNG")
    (folder / "tables" / "t.tex").write_text("x")
    (folder / "wandb" / "x.json").write_text("{}")
    (folder / "sweep.db").write_text("secret")
    (folder / "last.ckpt").write_text("secret")
    (folder / ".hidden.csv").write_text("secret")
    (folder / "page.html").write_text("secret")
    (tmp_path / "outside.csv").write_text("secret")
    return folder


@pytest.fixture
def app(out):
    return with_headers(View(out, watch=False))


@pytest.mark.parametrize(
    ("path", "kind", "part"),
    [
        ("/", "text/html", '<iframe src="/report.html"'),
        ("/report", "text/html", '<iframe src="/report.html"'),
        ("/report.html", "text/html", "<h1>The report</h1>"),
        ("/progress", "text/html", "<strong>2 of 2</strong>"),
        ("/progress/summary", "text/html", "<strong>2 of 2</strong>"),
        ("/progress/runs", "text/html", '2,000<span class="asked"> / 2,000</span>'),
        ("/progress/curves", "text/html", "<svg"),
        ("/files", "text/html", 'href="/files/figures/odd%20name%231%3F.svg"'),
        ("/files/comparison.csv", "text/plain", "a,b\n1,2\n"),
        ("/files/figures/odd name#1?.svg", "image/svg+xml", "<svg"),
        ("/files/tables/t.tex", "text/plain", "x"),
        ("/assets/view.css", "text/css", ":root"),
        ("/assets/view.js", "text/javascript", "use strict"),
    ],
)
def test_every_page_is_there(app, path, kind, part):
    got = ask(app, path)
    assert got.status == 200
    assert got.headers["Content-Type"].partition(";")[0] == kind
    assert part in got.text
    assert int(got.headers["Content-Length"]) == len(got.body)
    empty = ask(app, path, "HEAD")
    assert (empty.status, empty.body) == (200, b"")
    assert empty.headers["Content-Type"] == got.headers["Content-Type"]


def test_what_is_listed_is_served_and_nothing_else_is_listed(app, out):
    import re
    from urllib.parse import unquote

    links = [unquote(link) for link in re.findall(r'<li>.*?</li>', ask(app, "/files").text) for link in
             re.findall(r'href="([^"]+)"', link)]  # fmt: skip
    assert {ask(app, link).status for link in links} == {200}
    run = next((out / "runs").glob("*/*/*/seed-0")).relative_to(out)
    assert {link.removeprefix("/files/") for link in links} == {
        "/report.html", "comparison.csv", "figures/odd name#1?.svg", "figures/a.png", "tables/t.tex",
        *(f"{run.parent}/seed-{seed}/{name}" for seed in (0, 1) for name in
          ("config.yaml", "metrics.csv", "result.json", "timing.json")),
    }  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        "/files/../outside.csv",
        "/files/figures/../comparison.csv",
        "/files/../../../../../../etc/passwd",
        "/files//etc/passwd",
        "/files//comparison.csv",
        "/files/./comparison.csv",
        "/files/comparison.csv/",
        "/files/comparison.csv\0",
        "/files/comparison.csv\0.csv",
        "/files/",
        "/files/figures",
        "/files/figures/",
        "/files/runs",
        "/files/sweep.db",
        "/files/last.ckpt",
        "/files/.hidden.csv",
        "/files/page.html",
        "/files/wandb/x.json",
        "/files/" + "a" * 5000 + ".csv",
        "/files/" + "a/" * 5000 + "a.csv",
        "/files/none.csv",
        "/page.html",
        "/comparison.csv",
        "/assets/base.html.j2",
        "/assets/../app.py",
        "/progress/",
        "/progress/nothing",
        "/trials",
        "/dashboard",
        "/api/studies",
        "//",
        "/..",
        "http://127.0.0.1/report",
        "",
    ],
)
def test_nothing_else_is_there(app, path):
    got = ask(app, path)
    assert got.status == 404
    assert got.text == "there is no such page\n"


def test_a_path_that_is_no_text_is_refused(app):
    assert ask(app, "/files/x", PATH_INFO="/files/\xff.csv").status == 404


def test_links_are_followed_within_the_folder_only(app, out, tmp_path):
    (out / "away.csv").symlink_to(tmp_path / "outside.csv")
    (out / "folder").symlink_to(tmp_path)
    (out / "store.csv").symlink_to(out / "sweep.db")
    (out / "hid.csv").symlink_to(out / ".hidden.csv")
    (out / "mirror.json").symlink_to(out / "wandb" / "x.json")
    (out / "round.csv").symlink_to(out / "round.csv")
    (out / "inside.csv").symlink_to(out / "comparison.csv")
    os.mkfifo(out / "pipe.csv")
    for name in ("away.csv", "folder/outside.csv", "store.csv", "hid.csv", "mirror.json", "round.csv", "pipe.csv"):
        assert ask(app, f"/files/{name}").status == 404, name
    assert ask(app, "/files/inside.csv").status == 200
    listed = ask(app, "/files").text
    assert "inside.csv" in listed
    for name in ("away.csv", "round.csv", "pipe.csv", "hid.csv"):
        assert name not in listed


def test_a_report_that_leads_away_is_not_followed(app, out, tmp_path):
    (out / "report.html").unlink()
    (tmp_path / "other.html").write_text("secret")
    (out / "report.html").symlink_to(tmp_path / "other.html")
    assert ask(app, "/report.html").status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize("path", ["/", "/api/studies", "/files/comparison.csv"])
def test_nothing_can_be_changed(out, method, path):
    called: list[str] = []

    def trials(environ, start):
        called.append("trials")
        return []

    (out / "sweep.yaml").write_text("")
    app = View(out, watch=False, trials=lambda say: trials)
    got = ask(app, path, method)
    assert got.status == 405
    assert got.headers["Allow"] == "GET, HEAD"
    assert "workbench sweep dashboard" in got.text
    assert called == []


def test_every_answer_keeps_to_itself(app, out):
    for path in ("/", "/progress", "/progress/curves", "/files/comparison.csv", "/report.html", "/nothing"):
        headers = ask(app, path).headers
        policy = dict(part.split(maxsplit=1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert not [each for each in policy.values() if "http" in each or "*" in each]
        assert "'unsafe-inline'" not in policy.get("script-src", "")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
    assert "sandbox" in ask(app, "/report.html").headers["Content-Security-Policy"]
    assert "script-src" not in ask(app, "/report.html").headers["Content-Security-Policy"]
    refused = ask(with_headers(same_origin_only(View(out, watch=False), 9)), "/", HTTP_HOST="evil.example:9")
    assert refused.status == 403
    assert refused.headers["X-Content-Type-Options"] == "nosniff"


def test_without_a_report_progress_comes_first_and_says_how_to_make_one(app, out):
    (out / "report.html").unlink()
    text = ask(app, "/").text
    assert "<h1>Progress</h1>" in text
    assert f"workbench report {out}" in text
    assert f"workbench report {out}" in ask(app, "/report").text
    assert ask(app, "/report.html").status == 404


def test_watching_renews_by_a_script_of_our_own_or_without_one(out):
    still, moving = View(out, watch=False), View(out, watch=True)
    for word in ("<script", "refresh", "data-live"):
        assert word not in ask(still, "/progress").text
    text = ask(moving, "/").text
    assert "<h1>Progress</h1>" in text
    assert '<script src="/assets/view.js" defer></script>' in text
    assert '<noscript><meta http-equiv="refresh"' in text
    # The curves come with the script, or with the page where there is none.
    assert "<svg" not in text
    assert "<svg" in ask(moving, "/progress", QUERY_STRING="whole").text


def test_a_part_is_sent_again_only_when_it_is_new(out):
    app = View(out, watch=True)
    got = ask(app, "/progress/runs")
    same = ask(app, "/progress/runs", HTTP_IF_NONE_MATCH=got.headers["ETag"])
    assert (same.status, same.body) == (304, b"")
    assert ask(app, "/progress/runs", HTTP_IF_NONE_MATCH='"other"').status == 200
    assert f'data-version="{got.headers["ETag"]}"'.replace('"', "&#34;") in ask(app, "/").text.replace('"', "&#34;")


def test_names_and_errors_are_text(out):
    shutil.rmtree(out / "runs")
    made = experiment(f"{EVIL}:X", task=f"task{EVIL.replace('/', '')}:X")
    begun(out, made, [0.3]).joinpath("error.log").write_text(f"ValueError: {EVIL}\n")
    (out / "comparison.yaml").write_text(f"tasks: ['{EVIL}']\nnothing: 1\n")
    (out / "figures" / f"{EVIL.replace('/', '')}.png").write_bytes(b"")
    app = View(out, watch=False)
    for path in ("/progress", "/progress/curves", "/files"):
        text = ask(app, path).text
        assert "<script" not in text
        assert "&lt;script&gt;" in text


def test_an_unforeseen_error_is_a_line_and_ends_nothing(out, monkeypatch, capsys):
    app = View(out, watch=False)
    monkeypatch.setattr(app.pages, "files", lambda: 1 / 0)
    got = ask(app, "/files")
    assert got.status == 500
    assert got.text == "this page cannot be shown: ZeroDivisionError: division by zero\n"
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "workbench: '/files' cannot be shown: ZeroDivisionError: division by zero"
    assert ask(app, "/progress").status == 200


def test_optuna_dashboard_stands_beside(out):
    def trials(environ, start):
        start("200 OK", [("Content-Security-Policy", "default-src 'self'"), ("X", environ["HTTP_ACCEPT_ENCODING"])])
        return [environ["PATH_INFO"].encode()]

    (out / "sweep.yaml").write_text("")
    app = with_headers(View(out, watch=False, trials=lambda say: trials))
    assert '<iframe src="/dashboard"' in ask(app, "/trials").text
    assert 'href="/trials"' in ask(app, "/").text
    for path in ("/dashboard", "/dashboard/studies/1", "/api/studies", "/static/x.js", "/favicon.ico", "/csv/1"):
        got = ask(app, path)
        assert got.text == path
        assert got.headers["Content-Security-Policy"] == "default-src 'self'; frame-ancestors 'self'"
        assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert ask(app, "/dashboards").status == 404


def test_a_sweep_that_comes_later_is_shown_too(out):
    def trials(environ, start):
        start("200 OK", [])
        return [b"there"]

    app = View(out, watch=True, trials=lambda say: trials)
    assert "/trials" not in ask(app, "/progress").text
    assert [ask(app, path).status for path in ("/trials", "/dashboard")] == [404, 404]
    (out / "sweep.yaml").write_text("")
    assert 'href="/trials"' in ask(app, "/progress").text
    assert [ask(app, path).status for path in ("/trials", "/dashboard")] == [200, 200]


def test_trials_that_cannot_be_shown_are_a_line_and_are_tried_again(out):
    tried: list[int] = []

    def opening(say):
        tried.append(1)
        raise UserError(f"the store is away {EVIL}")

    (out / "sweep.yaml").write_text("")
    app = View(out, watch=False, trials=opening)
    got = ask(app, "/trials")
    assert got.status == 200
    assert "the store is away &lt;script&gt;" in got.text
    assert "<iframe" not in got.text
    assert ask(app, "/api/studies").status == 503
    assert len(tried) == 2
    assert ask(app, "/progress").status == 200


def test_a_store_that_takes_long_keeps_nobody_waiting(out, monkeypatch):
    import threading

    from analysis.dashboards.server import optuna_app

    monkeypatch.setattr(optuna_app, "STORAGE_TIMEOUT", 0.05)
    go = threading.Event()

    def opening(say):
        say("the store is out of reach; trying again in 1 s")
        go.wait(20)
        return lambda environ, start: start("200 OK", []) or [b"there"]

    (out / "sweep.yaml").write_text("")
    app = View(out, watch=False, trials=opening)
    text = ask(app, "/trials").text
    assert "trying again in 1 s" in text
    assert 'http-equiv="refresh"' in text
    go.set()
    monkeypatch.setattr(optuna_app, "STORAGE_TIMEOUT", 20)
    assert ask(app, "/dashboard").text == "there"


def test_nothing_is_written(out):
    def stamps():
        return {path: (path.lstat().st_mtime_ns, path.lstat().st_size) for path in out.rglob("*")}

    compared(out)
    before = stamps()
    app = View(out, watch=True)
    for path in ("/", "/report", "/progress", "/progress/curves", "/progress/runs", "/files", "/files/comparison.csv"):
        assert ask(app, path).status == 200
    assert stamps() == before
    assert json.loads(ask(app, f"/files/{next(out.rglob('result.json')).relative_to(out)}").text)["status"]
