"""`%%remote` through a real kernel: every row of what a cell that runs elsewhere must do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from helpers import eventually
from kernel import Kernel, kernel

import jupyter_cluster as jc

pytestmark = pytest.mark.notebooks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def book(cluster: jc.Cluster, folder: Path) -> Iterator[Kernel]:
    """A kernel beside a running cluster of two nodes."""
    cluster.scale(min_workers={"local": 2})
    with kernel(folder) as running:
        running.run("%load_ext jupyter_cluster\nimport jupyter_cluster as jc")
        yield running


# -- output -------------------------------------------------------------------------------------


def test_what_a_cell_prints_comes_in_order_on_its_own_stream(book: Kernel) -> None:
    shown = book.run(
        "%%remote\nimport sys\nprint('one')\nprint('two', end='')\nprint('no', file=sys.stderr)"
    )
    assert shown.printed() == "one\ntwo"
    assert shown.printed("stderr") == "no\n"


def test_output_is_shown_while_the_cell_runs(book: Kernel, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    book.run(
        "import threading, pathlib, sys, time\n"
        "seen = []\n"
        "class Tap:\n"
        "    def __init__(self, to): self.to = to\n"
        "    def write(self, text):\n"
        f"        if 'first' in text: pathlib.Path({str(go_on)!r}).touch()\n"
        "        return self.to.write(text)\n"
        "    def __getattr__(self, name): return getattr(self.to, name)\n"
        "stdout, sys.stdout = sys.stdout, Tap(sys.stdout)"
    )
    shown = book.run(
        "%%remote --timeout 20s\n"
        "import pathlib, time\n"
        "print('first')\n"
        f"while not pathlib.Path({str(go_on)!r}).exists(): time.sleep(0.01)\n"
        "print('second')"
    )
    book.run("sys.stdout = stdout")
    assert shown.printed() == "first\nsecond\n"


def test_ten_thousand_lines_in_a_second_all_come(book: Kernel) -> None:
    shown = book.run("%%remote\nfor i in range(10_000): print('line', i, 'x' * 60)")
    assert shown.printed().splitlines() == [f"line {i} {'x' * 60}" for i in range(10_000)]


def test_a_flood_is_bounded_and_says_how_much_it_left_out(book: Kernel) -> None:
    shown = book.run("%%remote\nfor i in range(300_000): print('line', i, 'x' * 60)")
    text = shown.printed()
    assert len(text) < 4_000_000
    assert text.rstrip().endswith(f"line 299999 {'x' * 60}")  # the end is what one looks for
    left_out = [int(n.replace(",", "")) for n in _numbers_left_out(shown.printed("stderr"))]
    assert left_out
    assert sum(left_out) + text.count("\n") == 300_000


def _numbers_left_out(text: str) -> list[str]:
    return [line.split()[1] for line in text.splitlines() if "were left out" in line]


def test_programs_and_libraries_that_write_past_python_are_shown(book: Kernel) -> None:
    shown = book.run("%%remote\nimport os\n!echo from a shell\nos.system('echo directly');")
    assert "from a shell" in shown.printed()
    assert "directly\n" in shown.printed()


def test_rich_output_travels_as_mime_bundles(book: Kernel) -> None:
    shown = book.run(
        "%%remote\nfrom IPython.display import HTML, Markdown, display\n"
        "display(HTML('<b>bold</b>'), Markdown('*m*'))\nprint('after')"
    )
    assert [b.get("text/html") or b.get("text/markdown") for b in shown.bundles] == [
        "<b>bold</b>",
        "*m*",
    ]
    assert [o.output_type for o in shown.outputs] == ["display_data", "display_data", "stream"]


def test_an_output_can_be_updated_and_cleared(book: Kernel) -> None:
    shown = book.run(
        "%%remote\nimport time\nfrom IPython.display import clear_output, display\n"
        "print('gone'); clear_output()\n"
        "handle = display('zero', display_id=True)\ntime.sleep(0.2)\nhandle.update('one')"
    )
    assert shown.printed() == ""
    assert [b["text/plain"] for b in shown.bundles] == ["'one'"]


def test_figures_are_pictures_or_data_not_megabytes(book: Kernel) -> None:
    shown = book.run(
        "%%remote\nimport plotly.graph_objects as go\ngo.Figure(go.Scatter(y=[1, 3, 2])).show()"
    )
    (bundle,) = shown.bundles
    assert "application/vnd.plotly.v1+json" in bundle
    assert len(str(bundle)) < 100_000


def test_matplotlib_draws_into_the_cell(book: Kernel) -> None:
    shown = book.run("%%remote\nimport matplotlib.pyplot as plt\nplt.plot([1, 3, 2]);")
    (bundle,) = shown.bundles
    assert bundle["image/png"].startswith("iVBOR")


# -- the last expression ------------------------------------------------------------------------


def test_the_last_expression_is_the_value_of_the_cell(book: Kernel) -> None:
    shown = book.run("%%remote\nx = 20\nx + 1")
    assert shown.value == "21"
    assert book.run("_ * 2").value == "42"
    assert book.run(f"Out[{shown.number}]").value == "21"


def test_a_semicolon_or_a_statement_shows_nothing(book: Kernel) -> None:
    assert not book.run("%%remote\n21;").has_value
    assert not book.run("%%remote\n21; # a comment").has_value
    assert not book.run("%%remote\nx = 21").has_value


def test_a_value_that_cannot_travel_shows_what_it_looks_like(book: Kernel) -> None:
    shown = book.run("%%remote\nimport threading\nthreading.Lock()")
    assert "lock object" in shown.value
    large = book.run("%%remote\nb'x' * 30_000_000")
    assert large.value.startswith("b'xxx")
    assert "RemoteValue" in book.run("type(_)").value


def test_a_value_that_displays_itself_is_shown_once(book: Kernel) -> None:
    chart = "import plotly.graph_objects as go\n"
    shown = book.run(f"%%remote\n{chart}go.Figure(go.Bar(y=[1, 2]))")
    assert len(shown.bundles) + shown.has_value == 1
    kept = book.run(
        f"%%remote\n{chart}class Mine(go.Figure):\n"
        "    def __reduce__(self): raise TypeError('no')\n"
        "Mine(go.Bar(y=[1, 2]))"
    )
    assert kept.has_value
    assert len(kept.bundles) == 0


def test_the_line_form_returns_the_value(book: Kernel) -> None:
    book.run("def double(x): return 2 * x")
    assert book.run("y = %remote double(4) + 1\ny").value == "9"
    assert book.run('%remote --cpus 1 " a  b ".strip() + "{y}"').value == "'a  b{y}'"


# -- variables ----------------------------------------------------------------------------------


def test_names_that_the_cell_reads_are_sent_and_the_user_can_see_them(book: Kernel) -> None:
    book.run(
        "import math\nnumbers = list(range(1000))\nunused = object()\n"
        "def total(): return sum(numbers)"
    )
    shown = book.run("%%remote --verbose\nmath.sqrt(total()) + len(numbers)")
    assert float(shown.value) == pytest.approx(1706.75, abs=0.01)
    assert "total (" in shown.printed()
    assert "numbers (" in shown.printed()
    assert "unused" not in shown.printed()


def test_functions_of_the_notebook_see_what_the_cell_assigns(book: Kernel) -> None:
    book.run("scale = 1\ndef scaled(x): return scale * x")
    assert book.run("%%remote\nscale = 10\nscaled(4)").value == "40"


def test_push_says_exactly_what_is_sent(book: Kernel) -> None:
    book.run("a, b = 1, 2")
    shown = book.run("%%remote --push a\na + b")
    assert shown.error.ename == "NameError"
    missing = book.run("%%remote --push nothing\n1")
    assert "the notebook has no variable nothing" in missing.printed("stderr")


def test_variables_come_back_in_full(book: Kernel) -> None:
    book.run("%%remote --out squares,note\nsquares = [i * i for i in range(100_000)]\nnote = 'n'")
    assert book.run("sum(squares), note").value == str((sum(i * i for i in range(100_000)), "n"))


def test_a_large_variable_stays_on_the_cluster_until_it_is_read(book: Kernel) -> None:
    shown = book.run("%%remote --out big\nbig = bytes(80_000_000)")
    assert "big is large and stays on the cluster" in shown.printed("stderr")
    assert book.run("big").value.startswith("<Ref big")
    assert book.run("%%remote\nlen(big)").value == "80000000"
    assert book.run("import jupyter_cluster as jc\nlen(jc.get(big))").value == "80000000"


def test_a_variable_that_the_cell_does_not_have_cannot_come_back(book: Kernel) -> None:
    shown = book.run("%%remote --out nothing\n1")
    assert "the cell has no variable 'nothing' to bring back" in shown.traceback


def test_what_cannot_be_pickled_is_named_with_the_reason(book: Kernel) -> None:
    book.run("import threading\nguard = [threading.Lock()]")
    shown = book.run("%%remote\nguard")
    assert "the variable 'guard' cannot be sent" in shown.traceback
    assert "its element 0, a lock" in shown.traceback
    assert len(shown.traceback.splitlines()) == 1


def test_what_is_too_large_is_named(book: Kernel) -> None:
    book.run("%config ClusterMagics.max_megabytes = 1\nlump = bytes(2_000_000)")
    shown = book.run("%%remote\nlen(lump)")
    book.run("%config ClusterMagics.max_megabytes = 200")
    assert "'lump' has 2 MB" in shown.traceback
    assert "jc.put(lump)" in shown.traceback


def test_every_cell_begins_with_an_empty_namespace(book: Kernel) -> None:
    book.run("%%remote\nleft_behind = 1")
    assert "left_behind" in book.run("%%remote\nleft_behind").traceback


def test_a_module_edited_between_two_cells_is_used_as_it_is_now(book: Kernel, folder: Path) -> None:
    module = folder / "helper.py"
    module.write_text("def answer(): return 'old'\n")
    assert book.run("%%remote\nimport helper\nhelper.answer()").value == "'old'"
    assert book.run("%%remote --session edits\nimport helper\nhelper.answer()").value == "'old'"
    module.write_text("def answer(): return 'new one'\n")
    assert book.run("%%remote\nimport helper\nhelper.answer()").value == "'new one'"
    again = book.run("%%remote --session edits\nimport helper\nhelper.answer()")
    assert again.value == "'new one'"
    book.run("%cluster sessions --end edits")


# -- errors -------------------------------------------------------------------------------------


def test_an_error_has_the_lines_of_the_cell_and_no_frames_of_ours(book: Kernel) -> None:
    shown = book.run("%%remote\ndef f(x):\n    return 1 / x\n\nf(0)")
    assert shown.error.ename == "ZeroDivisionError"
    assert f"Cell In[{shown.number}], line 5" in shown.traceback
    assert f"Cell In[{shown.number}], line 3, in f(x)" in shown.traceback
    assert "----> 3     return 1 / x" in shown.traceback
    assert "jupyter_cluster/" not in shown.traceback
    assert "[raised on local-" in shown.traceback


def test_blank_lines_at_the_beginning_count(book: Kernel) -> None:
    shown = book.run("%%remote\n\n\n1 / 0")
    assert f"Cell In[{shown.number}], line 4" in shown.traceback


def test_a_syntax_error_shows_its_line_and_is_not_sent(book: Kernel) -> None:
    shown = book.run("%%remote\na = 1\nb = = 2")
    assert shown.error.ename == "SyntaxError"
    assert f"Cell In[{shown.number}], line 3" in shown.traceback
    assert "b = = 2" in shown.traceback
    assert "jupyter_cluster" not in shown.traceback


def test_an_error_of_the_line_form_has_the_line_that_it_stands_on(book: Kernel) -> None:
    shown = book.run("z = 0\n\nq = %remote 1 / z")
    assert f"Cell In[{shown.number}], line 3" in shown.traceback


def test_an_error_of_the_notebooks_own_class_keeps_its_type(book: Kernel) -> None:
    book.run("class Odd(Exception): pass")
    assert book.run("%%remote\nraise Odd('1')").error.ename == "Odd"
    caught = book.run(
        "try:\n    get_ipython().run_cell_magic('remote', '', 'raise Odd(\"2\")')\n"
        "except Odd as error:\n    print('caught', error)"
    )
    assert caught.printed() == "caught 2\n"


def test_a_process_that_dies_is_said_in_one_sentence(book: Kernel) -> None:
    shown = book.run("%%remote\nimport os, sys\nprint('last words', file=sys.stderr)\nos._exit(3)")
    assert shown.error.ename == "TaskCrashedError"
    assert "exited with code 3" in shown.traceback
    assert book.run("%%remote\n'alive'").value == "'alive'"


def test_sys_exit_is_an_error_of_the_cell(book: Kernel) -> None:
    assert "SystemExit" in book.run("%%remote\nimport sys\nsys.exit(2)").traceback


def test_exit_and_quit_end_the_cell_and_no_session(book: Kernel) -> None:
    book.run("%%remote --session stays\nkept = 1")
    for left in ("exit()", "quit()", "exit", "if True:\n    quit()\nprint('not here')"):
        shown = book.run(f"%%remote --session stays\n{left}")
        assert "SystemExit: exit() has ended this cell" in shown.traceback
        assert shown.printed() + shown.printed("stderr") == ""
    assert book.run("%remote --session stays kept").value == "1"
    book.run("%cluster sessions --end stays")


@pytest.mark.parametrize("kind", ["StopIteration", "KeyboardInterrupt", "GeneratorExit"])
def test_control_flow_of_a_cell_is_an_error_of_the_cell(book: Kernel, kind: str) -> None:
    shown = book.run(f"%%remote\nraise {kind}('mine')")
    assert shown.error.ename == "ControlFlowError"
    assert f"{kind}: mine" in shown.traceback


def test_an_error_that_hurts_whoever_shows_it_keeps_its_name(book: Kernel) -> None:
    shown = book.run(
        "%%remote\nclass Odd(Exception):\n    def __str__(self): return self.args[1]\n"
        "raise Odd('x')"
    )
    assert "raised Odd: <str() of this Odd raised IndexError>" in shown.error.evalue
    assert "raise Odd('x')" in shown.traceback
    assert shown.printed() + shown.printed("stderr") == ""
    refuses = (
        "%%remote\nclass Refuses(Exception):\n"
        "    def __setattr__(self, name, value): raise AttributeError(name)\n"
        "raise Refuses('as it was')"
    )
    assert book.run(refuses).error.ename == "Refuses"


def test_a_value_that_hurts_whoever_shows_it_is_said(book: Kernel) -> None:
    odd = "class Odd:\n    lock = None\n    def __repr__(self): raise {}\nodd = Odd()\n"
    lock = "import threading\nodd.lock = threading.Lock()\nodd"
    for kind in ("ValueError('no')", "SystemExit"):
        shown = book.run("%%remote\n" + odd.format(kind) + lock)
        assert shown.value == f"<repr() of this Odd raised {kind.partition('(')[0]}>"


def test_a_cached_function_of_the_notebook_is_one_of_the_cell_too(book: Kernel) -> None:
    book.run(
        "import functools\n@functools.lru_cache\n"
        "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)"
    )
    assert book.run("%%remote\nfib(30), fib.cache_info().currsize").value == "(832040, 31)"


# -- widgets ------------------------------------------------------------------------------------


def test_a_widget_as_the_value_of_a_cell_is_one_of_the_notebook(book: Kernel) -> None:
    shown = book.run("%%remote\nimport ipywidgets\nipywidgets.IntSlider(value=7)")
    assert "the widget is a copy" in shown.printed("stderr")
    view = "application/vnd.jupyter.widget-view+json"
    (result,) = (o for o in shown.outputs if o.output_type == "execute_result")
    model = result.data[view]["model_id"]
    assert book.run(
        f"import ipywidgets\n_.value, _.model_id == {model!r}, _.comm is not None"
    ).value == ("(7, True, True)")
    book.run("%%remote --out sliders\nimport ipywidgets\nsliders = [ipywidgets.IntSlider(value=3)]")
    assert book.run("sliders[0].value, sliders[0].comm is not None").value == "(3, True)"


def test_a_live_figure_is_the_value_of_a_cell(book: Kernel) -> None:
    book.run("%%remote\nimport plotly.graph_objects as go\ngo.FigureWidget([{'y': [1, 2]}])")
    assert book.run("_.data[0].y, _.comm is not None").value == "((1, 2), True)"


def test_a_bar_of_a_cell_ends_at_its_end(book: Kernel) -> None:
    shown = book.run(
        "%%remote\nfrom tqdm.notebook import tqdm\nfor i in tqdm(range(3)): pass\n"
        "for i in tqdm(range(3), leave=False): pass"
    )
    kept, gone = shown.bundles
    assert kept["text/plain"].startswith("100% 3/3")
    assert '<progress value="3" max="3">' in kept["text/html"]
    assert gone == {"text/plain": ""}
    assert shown.printed("stderr").count("is a picture of it") == 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--cpsu 2", "there is no option '--cpsu'"),
        ("--cpus many", "--cpus: 'many' is not a number of at least 0"),
        ("--cpus nan", "--cpus: 'nan' is not a number of at least 0"),
        ("--resources CPU=2", "--resources: CPU is what --cpus is for"),
        (f"--name {'x' * 300}", "--name: it has 300 characters; at most 200 are allowed"),
        ("--session \u202e", "--session: it must not hold the character"),
        ("--memory big", "'big' is no amount, e.g. 8GB"),
        ("--timeout soon", "'soon' is not a duration"),
        ("--out 1a", "'1a' is not the name of a variable"),
        ("--cpus", "--cpus needs a value"),
        ("x = 1", "'x = 1' is no option"),
        ("--on nowhere", "there is no node type 'nowhere'; there are: ['local']"),
    ],
)
def test_a_wrong_line_is_one_sentence(book: Kernel, line: str, says: str) -> None:
    shown = book.run(f"%%remote {line}\n1")
    assert shown.printed("stderr").startswith("UsageError: ")
    assert says in shown.printed("stderr")
    assert not shown.has_value


def test_what_no_node_can_hold_ends_with_the_reason(book: Kernel) -> None:
    shown = book.run("%%remote --cpus 64\n1")
    assert shown.error.ename == "InfeasibleError"
    assert "CPU: 64" in shown.traceback


def test_asking_for_input_is_refused_with_a_sentence(book: Kernel) -> None:
    shown = book.run("%%remote\ninput('name? ')")
    assert "cannot ask for input" in shown.traceback


def test_objects_of_the_cluster_itself_are_not_sent(book: Kernel) -> None:
    book.run("import jupyter_cluster as jc\nmine = jc.connect('shared')")
    assert "'mine', a Cluster" in book.run("%%remote\nmine.status()").printed("stderr")


# -- as in a notebook ---------------------------------------------------------------------------


def test_top_level_await_and_magics_work_as_usual(book: Kernel) -> None:
    shown = book.run("%%remote\nimport asyncio\nawait asyncio.sleep(0, result='waited')")
    assert shown.value == "'waited'"
    timed = book.run("%%remote\n%time sum(range(1000))")
    assert "Wall time" in timed.printed()
    assert timed.value == "499500"
    assert "Wall time" in book.run("%%remote\n%%time\nx = 1").printed()
    book.run("n = 5")
    assert "5 and 6" in book.run("%%remote\n!echo {n} and {n + 1}").printed()


def test_braces_and_dollars_of_the_code_are_left_alone(book: Kernel) -> None:
    book.run("x = 'outer'")
    shown = book.run("%%remote --push x\nprint('{x}', f'{x}', '$x')")
    assert shown.printed() == "{x} outer $x\n"


def test_help_has_the_options_and_an_example(book: Kernel) -> None:
    shown = book.run("print(get_ipython().find_cell_magic('remote').__doc__)")
    for part in ("%%remote --cpus 4 --out model", "--session NAME", "--timeout", "--gpus"):
        assert part in shown.printed()


# -- where and how ------------------------------------------------------------------------------


def test_a_session_keeps_its_variables_on_one_node(book: Kernel, cluster: jc.Cluster) -> None:
    first = book.run("%%remote --session keep\nimport os\ncount = 1\nos.getpid()").value
    again = book.run("%%remote --session keep\ncount += 1\nos.getpid()").value
    assert first == again
    assert book.run("%remote --session keep count").value == "2"
    (row,) = cluster.sessions()
    assert (row["name"], row["busy"]) == ("keep", False)
    kept = [node for node in cluster.nodes() if node["id"] == row["node"]]
    assert kept[0]["why"] == "it holds the variables of session 'keep'"
    assert "keep" in str(book.run("%cluster sessions").outputs)
    book.run("%cluster sessions --end keep")
    eventually(lambda: not cluster.sessions())


def test_a_cell_that_its_node_can_never_hold_says_so(book: Kernel) -> None:
    book.run("%%remote --session small\nkept = 1")
    for options in ("--session small --cpus 2", "--all --cpus 2"):
        shown = book.run(f"%%remote {options}\nkept")
        assert "where cell 'In[" in shown.traceback
        assert "has {CPU: 1, memory: " in shown.traceback
        assert "cannot hold the {CPU: 2} that it asks for" in shown.traceback
    assert book.run("%remote --session small kept").value == "1"
    book.run("%cluster sessions --end small")


def test_a_session_keeps_what_it_has_assigned_itself(book: Kernel) -> None:
    book.run("level = 1")
    assert book.run("%%remote --session own\nlevel += 1\nlevel").value == "2"
    kept = book.run("%%remote --session own\nlevel += 1\nlevel")
    assert kept.value == "3"
    assert "the session keeps its own level" in kept.printed("stderr")
    assert book.run("%%remote --session own --push level\nlevel").value == "1"
    book.run("%cluster sessions --end own")


def test_a_session_outlives_the_kernel(cluster: jc.Cluster, folder: Path) -> None:
    with kernel(folder) as first:
        first.run("%load_ext jupyter_cluster")
        first.run("%%remote --session long\nanswer = 42")
    with kernel(folder) as second:
        second.run("%load_ext jupyter_cluster")
        assert second.run("%remote --session long answer").value == "42"
    cluster.end_session("long")


def test_a_session_that_was_lost_says_so_once(book: Kernel, cluster: jc.Cluster) -> None:
    book.run("%%remote --session doomed\nimport os\nprecious = 1")
    shown = book.run("%%remote --session doomed\nos._exit(9)")
    assert "with it went session 'doomed'" in shown.traceback
    assert "NameError" in book.run("%%remote --session doomed\nprecious").traceback
    book.run("import os, signal")
    pid = book.run("%%remote --session doomed\nimport os\nos.getpid()").value
    book.run(f"os.kill({pid}, signal.SIGKILL)")
    eventually(lambda: not cluster.sessions())
    lost = book.run("%%remote --session doomed\n1")
    assert "session 'doomed' has ended" in lost.traceback
    assert "Its variables are gone" in lost.traceback
    assert book.run("%%remote --session doomed\n1").value == "1"
    book.run("%cluster sessions --end doomed")


def test_all_runs_once_on_every_node_with_their_names(book: Kernel, cluster: jc.Cluster) -> None:
    eventually(lambda: sum(node["state"] == "ready" for node in cluster.nodes()) == 2)
    shown = book.run("%%remote --all\nimport os\nprint('up\\nrunning')\nos.getpid()")
    names = sorted(node["id"] for node in cluster.nodes())
    lines = sorted(shown.printed().splitlines())
    assert lines == sorted(f"[{name}] {word}" for name in names for word in ("up", "running"))
    assert all(name in shown.value for name in names)
    assert book.run("len(set(_.values()))").value == "2"


def test_an_error_on_all_nodes_names_them(book: Kernel, cluster: jc.Cluster) -> None:
    shown = book.run("%%remote --all\n1 / 0")
    names = sorted(node["id"] for node in cluster.nodes())
    assert f"[raised on {names[0]}; it failed on {names[1]} too]" in shown.traceback


def test_a_node_type_can_be_chosen(book: Kernel) -> None:
    assert book.run("%%remote --on local\n'here'").value == "'here'"


def test_a_timeout_ends_the_cell(book: Kernel) -> None:
    shown = book.run("%%remote --timeout 0.3s\nimport time\ntime.sleep(60)")
    assert shown.error.ename == "TaskTimeoutError"
    book.run("%%remote --session timed\nkept = 1")
    in_session = book.run("%%remote --session timed --timeout 0.3s\nimport time\ntime.sleep(60)")
    assert in_session.error.ename == "TaskTimeoutError"
    assert book.run("%remote --session timed kept").value == "1"
    book.run("%cluster sessions --end timed")


def test_resources_hold_a_cell_back_until_there_is_room(book: Kernel, tmp_path: Path) -> None:
    sign = tmp_path / "go"
    book.run(
        "import jupyter_cluster as jc, time, pathlib\n"
        "def wait_for(path):\n"
        "    while not pathlib.Path(path).exists(): time.sleep(0.02)\n"
        f"held = jc.connect('shared').map(wait_for, [{str(sign)!r}] * 2)\n"
        "while held.info.running < 2: time.sleep(0.02)\n"
        "import threading\n"
        f"threading.Timer(2.5, lambda: pathlib.Path({str(sign)!r}).touch()).start()"
    )
    shown = book.run("%%remote\n'at last'")
    assert shown.value == "'at last'"
    assert shown.status["text/plain"].startswith("[ran on local-")
    book.run("held.results()\nheld.delete()")


# -- interrupting -------------------------------------------------------------------------------


def test_an_interrupt_stops_the_remote_work(
    book: Kernel, tmp_path: Path, cluster: jc.Cluster
) -> None:
    began, ended = tmp_path / "began", tmp_path / "ended"
    shown = book.run_and_interrupt(
        "%%remote\nimport pathlib, time\nprint('working')\n"
        f"pathlib.Path({str(began)!r}).touch()\n"
        f"try:\n    time.sleep(600)\nfinally:\n    pathlib.Path({str(ended)!r}).touch()",
        began,
    )
    assert ended.exists()
    assert shown.error.ename == "CellInterrupted"
    assert shown.traceback.startswith("KeyboardInterrupt: the cell was stopped on local-")
    assert shown.printed() == "working\n"
    assert not [job for job in cluster.jobs() if job["running"]]
    assert book.run("%%remote\n'usable'").value == "'usable'"


def test_a_cell_that_ignores_the_interrupt_is_ended_all_the_same(
    book: Kernel, tmp_path: Path
) -> None:
    began = tmp_path / "began"
    shown = book.run_and_interrupt(
        f"%%remote\nimport pathlib, time\npathlib.Path({str(began)!r}).touch()\n"
        "while True:\n    try: time.sleep(60)\n    except KeyboardInterrupt: pass",
        began,
    )
    assert shown.error.ename == "CellInterrupted"
    assert book.run("%%remote\n'usable'").value == "'usable'"


def test_an_interrupted_session_keeps_its_variables(book: Kernel, tmp_path: Path) -> None:
    began = tmp_path / "began"
    book.run("%%remote --session calm\nstate = 'kept'")
    book.run_and_interrupt(
        f"%%remote --session calm\nimport pathlib, time\npathlib.Path({str(began)!r}).touch()\n"
        "time.sleep(60)",
        began,
    )
    assert book.run("%remote --session calm state").value == "'kept'"
    book.run("%cluster sessions --end calm")


def test_what_an_interrupted_cell_of_a_session_has_started_ends_and_what_others_have_stays(
    book: Kernel, tmp_path: Path
) -> None:
    began, mine, others = (tmp_path / name for name in ("began", "mine", "others"))
    helpers = (
        "import os, pathlib, subprocess, time\n"
        "def leave(file):\n"
        "    p = subprocess.Popen(['sh', '-c', 'sleep 600 & echo $!; exec sleep 600'],\n"
        "                         stdout=subprocess.PIPE, start_new_session=True, text=True)\n"
        "    with open(file, 'a') as f: f.write(f'{p.pid} {p.stdout.readline()}')\n"
        "def fork(file):\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        time.sleep(600)\n"
        "        os._exit(0)\n"
        "    with open(file, 'a') as f: f.write(f'{pid} ')\n"
    )
    book.run(f"%%remote --session busy\n{helpers}leave({str(others)!r})\nfork({str(others)!r})")
    book.run_and_interrupt(
        f"%%remote --session busy\nleave({str(mine)!r})\nfork({str(mine)!r})\n"
        f"pathlib.Path({str(began)!r}).touch()\ntime.sleep(60)",
        began,
    )

    def alive(file: Path) -> list[bool]:
        found = []
        for pid in map(int, file.read_text().split()):
            with contextlib.suppress(psutil.NoSuchProcess):
                found.append(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
        return found

    eventually(lambda: not any(alive(mine)))
    assert alive(others) == [True, True, True]
    assert book.run("%remote --session busy 'well'").value == "'well'"
    book.run("%cluster sessions --end busy")
    eventually(lambda: not any(alive(others)))


# -- asynchronous -------------------------------------------------------------------------------


# What a thread shows is seen by the test's client while a cell runs.
UNTIL_SHOWN = (
    "import threading, time\n"
    "while any(t.name.startswith('cell ') for t in threading.enumerate()): time.sleep(0.02)"
)


def test_async_returns_a_job_that_shows_what_comes(book: Kernel) -> None:
    shown = book.run(
        "%%remote --async --name later --out found\nprint('busy')\nfound = 6\n7 * found"
    )
    assert not shown.has_value
    assert book.run("_.result(), _.values()").value == "(42, {'found': 6})"
    book.run(UNTIL_SHOWN)
    (bundle,) = shown.bundles
    assert bundle["text/plain"].startswith("[cell 'later': done]")
    assert "cell 'later'" in bundle["text/plain"]
    assert "busy" in bundle["text/html"]
    again = book.run("jc.connect('shared').job('later')")
    assert "busy\n" in again.printed()
    assert book.run("jc.connect('shared').job('later').delete()").outputs == []


def test_an_async_cell_goes_on_when_its_kernel_goes(
    cluster: jc.Cluster, folder: Path, tmp_path: Path
) -> None:
    sign = tmp_path / "go"
    with kernel(folder) as first:
        first.run("%load_ext jupyter_cluster")
        first.run(
            "%%remote --async --name orphan --out left\nimport pathlib, time\nprint('begun')\n"
            f"while not pathlib.Path({str(sign)!r}).exists(): time.sleep(0.02)\nleft = 'here'"
        )
    sign.touch()
    job = cluster.job("orphan")
    job.wait(30)
    with kernel(folder) as second:
        second.run("%load_ext jupyter_cluster\nimport jupyter_cluster as jc")
        second.run("job = jc.connect('shared').job('orphan')\njob.wait()")
        assert "begun" in second.run("job").printed()
        assert second.run("job.values()").value == "{'left': 'here'}"
    job.delete()


def test_an_error_of_an_async_cell_is_in_its_display(book: Kernel) -> None:
    shown = book.run("%%remote --async\n1 / 0")
    book.run("job = _\ntry:\n    job.result()\nexcept ZeroDivisionError: print('raised')")
    book.run(UNTIL_SHOWN)
    assert "failed" in shown.bundles[0]["text/plain"]
    assert "ZeroDivisionError: division by zero" in shown.bundles[0]["text/plain"]
    book.run("job.delete()")


# -- errors in functions, groups ------------------------------------------------------------------


def test_a_function_of_another_cell_is_shown_with_its_cell_and_its_line(book: Kernel) -> None:
    defined = book.run("def deep(n):\n    return 1 / n")
    shown = book.run("%%remote\ndeep(0)")
    assert "----> 2 deep(0)" in shown.traceback
    assert f"Cell In[{defined.number}], line 2, in deep(n)" in shown.traceback
    assert "----> 2     return 1 / n" in shown.traceback


def test_a_group_of_exceptions_has_its_tree_and_no_frames_of_ours(book: Kernel) -> None:
    shown = book.run("%%remote\nraise ExceptionGroup('several', [ValueError(1), TypeError('x')])")
    assert shown.error.ename == "ExceptionGroup"
    assert "TypeError: x" in shown.traceback
    assert "jupyter_cluster/" not in shown.traceback
    assert not shown.printed("stderr")


def test_what_refuses_input_shows_no_frame_of_ours(book: Kernel) -> None:
    shown = book.run("%%remote\ninput('name? ')")
    assert "cannot ask for input" in shown.traceback
    assert "jupyter_cluster/" not in shown.traceback


# -- completion ---------------------------------------------------------------------------------


def test_options_and_names_are_completed(book: Kernel) -> None:
    shown = book.run(
        "shell = get_ipython()\n"
        "for line in ('%%remote --ver', '%remote --on l', '%%remote --cluster sh',"
        " '%cluster down sh'):\n"
        "    print(shell.complete(None, line, len(line))[1])\n"
    )
    assert shown.printed().splitlines() == [
        "['--verbose']",
        "['local']",
        "['shared']",
        "['shared']",
    ]
