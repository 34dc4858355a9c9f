"""Every page of `workbench view`, and every request that it refuses."""

import json
import os
import shutil

import pytest

from analysis.dashboards.server import app as app_module
from analysis.dashboards.server.app import ResultsApp
from analysis.dashboards.server.wsgi import same_origin_only, with_default_headers
from tests.analysis.dashboards.server_runs import request, write_comparison, write_unfinished_run
from tests.analysis.report_runs import experiment, write_run
from workbench.errors import UserError
from workbench.run_folder import run_lock

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def out(tmp_path):
    """A folder of results with all kinds of files, and a file beside it."""
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
    return with_default_headers(ResultsApp(out, watch=False))


@pytest.mark.parametrize(
    ("path", "kind", "part"),
    [
        ("/", "text/html", '<iframe src="/report.html"'),
        ("/report", "text/html", '<iframe src="/report.html"'),
        ("/report.html", "text/html", "<h1>The report</h1>"),
        ("/progress", "text/html", "<strong>2 of 2</strong>"),
        ("/progress/summary", "text/html", "<strong>2 of 2</strong>"),
        ("/progress/runs", "text/html", '2,000<span class="total"> / 2,000</span>'),
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
    answer = request(app, path)
    assert answer.status == 200
    assert answer.headers["Content-Type"].partition(";")[0] == kind
    assert part in answer.text
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    empty = request(app, path, "HEAD")
    assert (empty.status, empty.body) == (200, b"")
    assert empty.headers["Content-Type"] == answer.headers["Content-Type"]


def test_what_is_listed_is_served_and_nothing_else_is_listed(app, out):
    import re
    from urllib.parse import unquote

    links = [unquote(link) for link in re.findall(r'<li>.*?</li>', request(app, "/files").text) for link in
             re.findall(r'href="([^"]+)"', link)]  # fmt: skip
    assert {request(app, link).status for link in links} == {200}
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
    answer = request(app, path)
    assert answer.status == 404
    assert answer.text == "there is no such page\n"


def test_a_path_that_is_not_text_is_refused(app):
    assert request(app, "/files/x", PATH_INFO="/files/\xff.csv").status == 404


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
        assert request(app, f"/files/{name}").status == 404, name
    assert request(app, "/files/inside.csv").status == 200
    listed = request(app, "/files").text
    assert "inside.csv" in listed
    for name in ("away.csv", "round.csv", "pipe.csv", "hid.csv"):
        assert name not in listed


def test_a_report_that_leads_away_is_not_followed(app, out, tmp_path):
    (out / "report.html").unlink()
    (tmp_path / "other.html").write_text("secret")
    (out / "report.html").symlink_to(tmp_path / "other.html")
    assert request(app, "/report.html").status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize("path", ["/", "/api/studies", "/files/comparison.csv"])
def test_nothing_can_be_changed(out, method, path):
    calls: list[str] = []

    def trials(environ, start):
        calls.append("trials")
        return []

    (out / "sweep.yaml").write_text("")
    app = ResultsApp(out, watch=False, trials=lambda log: trials)
    answer = request(app, path, method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert "workbench sweep dashboard" in answer.text
    assert calls == []


def test_every_answer_keeps_to_itself(app, out):
    for path in ("/", "/progress", "/progress/curves", "/files/comparison.csv", "/report.html", "/nothing"):
        headers = request(app, path).headers
        policy = dict(part.split(maxsplit=1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert not [sources for sources in policy.values() if "http" in sources or "*" in sources]
        assert "'unsafe-inline'" not in policy.get("script-src", "")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
    report_policy = request(app, "/report.html").headers["Content-Security-Policy"]
    assert "sandbox" in report_policy
    # The scripts of this version's reports, by their hashes, and no others.
    assert report_policy.count("'sha256-") == 2
    assert "script-src 'sha256-" in report_policy
    assert "allow-same-origin" not in report_policy
    assert "script-src" not in request(app, "/files/comparison.csv").headers["Content-Security-Policy"]
    refused = request(
        with_default_headers(same_origin_only(ResultsApp(out, watch=False), 9)), "/", HTTP_HOST="evil.example:9"
    )
    assert refused.status == 403
    assert refused.headers["X-Content-Type-Options"] == "nosniff"


def test_without_a_report_progress_comes_first_and_says_how_to_make_one(app, out):
    (out / "report.html").unlink()
    text = request(app, "/").text
    assert "<h1>Progress</h1>" in text
    assert f"workbench report {out}" in text
    assert f"workbench report {out}" in request(app, "/report").text
    assert request(app, "/report.html").status == 404


def test_watching_renews_by_a_script_of_our_own_or_without_one(out):
    static, watching = ResultsApp(out, watch=False), ResultsApp(out, watch=True)
    for word in ("<script", "refresh", "data-live"):
        assert word not in request(static, "/progress").text
    text = request(watching, "/").text
    assert "<h1>Progress</h1>" in text
    assert '<script src="/assets/view.js" defer></script>' in text
    assert '<noscript><meta http-equiv="refresh"' in text
    # The curves come with the script, or with the page without one.
    assert "<svg" not in text
    assert "<svg" in request(watching, "/progress", QUERY_STRING="whole").text


def test_the_curves_of_many_runs_are_drawn_once_somebody_asks(out, monkeypatch):
    still = ResultsApp(out, watch=False)
    assert "<svg" in request(still, "/progress").text
    monkeypatch.setattr(app_module, "MANY_RUNS", 1)
    page = request(still, "/progress").text
    assert "<svg" not in page
    assert '<a href="/progress?whole">Draw the learning curves</a>' in page
    assert "<svg" in request(still, "/progress", QUERY_STRING="whole").text


def test_a_part_is_sent_again_only_when_it_is_new(out):
    app = ResultsApp(out, watch=True)
    answer = request(app, "/progress/runs")
    same = request(app, "/progress/runs", HTTP_IF_NONE_MATCH=answer.headers["ETag"])
    assert (same.status, same.body) == (304, b"")
    assert request(app, "/progress/runs", HTTP_IF_NONE_MATCH='"other"').status == 200
    assert f'data-version="{answer.headers["ETag"]}"'.replace('"', "&#34;") in request(app, "/").text.replace(
        '"', "&#34;"
    )


def test_who_is_at_work_on_a_run_is_told(out):
    """As text: another folder's file may say that a machine is called anything."""
    folder = write_unfinished_run(out, experiment("gru"), [0.3])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("platform.node", lambda: "<b>node7")
        with run_lock(folder):
            text = request(ResultsApp(out, watch=True), "/progress/runs").text
    assert f'running<span class="holder">process {os.getpid()} on &lt;b&gt;node7</span>' in text
    assert 'class="holder"' not in request(ResultsApp(out, watch=True), "/progress/runs").text


def test_names_and_errors_are_text(out):
    shutil.rmtree(out / "runs")
    run_config = experiment(f"{EVIL}:X", task=f"task{EVIL.replace('/', '')}:X")
    write_unfinished_run(out, run_config, [0.3]).joinpath("error.log").write_text(f"ValueError: {EVIL}\n")
    (out / "comparison.yaml").write_text(f"tasks: ['{EVIL}']\nnothing: 1\n")
    (out / "figures" / f"{EVIL.replace('/', '')}.png").write_bytes(b"")
    app = ResultsApp(out, watch=False)
    for path in ("/progress", "/progress/curves", "/files"):
        text = request(app, path).text
        assert "<script" not in text
        assert "&lt;script&gt;" in text


def test_an_unforeseen_error_is_a_line_and_ends_nothing(out, monkeypatch, capsys):
    app = ResultsApp(out, watch=False)
    monkeypatch.setattr(app.pages, "files", lambda: 1 / 0)
    answer = request(app, "/files")
    assert answer.status == 500
    assert answer.text == "this page cannot be shown: ZeroDivisionError: division by zero\n"
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "workbench: '/files' cannot be shown: ZeroDivisionError: division by zero"
    assert request(app, "/progress").status == 200


def test_optuna_dashboard_stands_beside(out):
    def trials(environ, start):
        start("200 OK", [("Content-Security-Policy", "default-src 'self'"), ("X", environ["HTTP_ACCEPT_ENCODING"])])
        return [environ["PATH_INFO"].encode()]

    (out / "sweep.yaml").write_text("")
    app = with_default_headers(ResultsApp(out, watch=False, trials=lambda log: trials))
    assert '<iframe src="/dashboard"' in request(app, "/trials").text
    assert 'href="/trials"' in request(app, "/").text
    for path in ("/dashboard", "/dashboard/studies/1", "/api/studies", "/static/x.js", "/favicon.ico", "/csv/1"):
        answer = request(app, path)
        assert answer.text == path
        assert answer.headers["Content-Security-Policy"] == "default-src 'self'; frame-ancestors 'self'"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert request(app, "/dashboards").status == 404


def test_a_sweep_that_comes_later_is_shown_too(out):
    def trials(environ, start):
        start("200 OK", [])
        return [b"there"]

    app = ResultsApp(out, watch=True, trials=lambda log: trials)
    assert "/trials" not in request(app, "/progress").text
    assert [request(app, path).status for path in ("/trials", "/dashboard")] == [404, 404]
    (out / "sweep.yaml").write_text("")
    assert 'href="/trials"' in request(app, "/progress").text
    assert [request(app, path).status for path in ("/trials", "/dashboard")] == [200, 200]


def test_trials_that_cannot_be_shown_are_a_line_and_are_tried_again(out):
    attempts: list[int] = []

    def open_app(log):
        attempts.append(1)
        raise UserError(f"the store is away {EVIL}")

    (out / "sweep.yaml").write_text("")
    app = ResultsApp(out, watch=False, trials=open_app)
    answer = request(app, "/trials")
    assert answer.status == 200
    assert "the store is away &lt;script&gt;" in answer.text
    assert "<iframe" not in answer.text
    assert request(app, "/api/studies").status == 503
    assert len(attempts) == 2
    assert request(app, "/progress").status == 200


def test_a_store_that_takes_long_keeps_nobody_waiting(out, monkeypatch):
    import threading

    from analysis.dashboards.server import optuna_app

    monkeypatch.setattr(optuna_app, "STORAGE_TIMEOUT", 0.05)
    go = threading.Event()

    def open_app(log):
        log("the store is out of reach; trying again in 1 s")
        go.wait(20)
        return lambda environ, start: start("200 OK", []) or [b"there"]

    (out / "sweep.yaml").write_text("")
    app = ResultsApp(out, watch=False, trials=open_app)
    text = request(app, "/trials").text
    assert "trying again in 1 s" in text
    assert 'http-equiv="refresh"' in text
    go.set()
    monkeypatch.setattr(optuna_app, "STORAGE_TIMEOUT", 20)
    assert request(app, "/dashboard").text == "there"


def test_nothing_is_written(out):
    def stamps():
        return {path: (path.lstat().st_mtime_ns, path.lstat().st_size) for path in out.rglob("*")}

    write_comparison(out)
    before = stamps()
    app = ResultsApp(out, watch=True)
    for path in ("/", "/report", "/progress", "/progress/curves", "/progress/runs", "/files", "/files/comparison.csv"):
        assert request(app, path).status == 200
    assert stamps() == before
    assert json.loads(request(app, f"/files/{next(out.rglob('result.json')).relative_to(out)}").text)["status"]
