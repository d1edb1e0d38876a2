"""Where the problems of a file stand, and what mends them."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_cluster.config import Problem, examine

pytestmark = pytest.mark.unit

LOCAL = "cluster_name: a\nprovider: {type: local}\n"
AWS = "cluster_name: a\nprovider: {type: aws}\n"
TYPES = "head_node_type: a\navailable_node_types:\n  a:\n"
NODE = AWS + TYPES + "    node_config: {InstanceType: m5.large, "


def found(text: str) -> list[Problem]:
    examined = examine(text, "cluster.yaml", Path())
    return [*examined.problems, *examined.notices]


@pytest.mark.parametrize(
    ("text", "message", "marked"),
    [
        # The file as a whole
        ("x: 1 # y\nz: 2\n", "this is no cluster YAML", "x: 1 # y"),
        ("- a\n- b\n", "must be a map", "- a"),
        # Syntax, also at the end of the text
        ("a: 1\n\tb: 2\n", "column 1 is a tab", "\t"),
        ("é: 1\n  é\tb: 2\n", "column 4 is a tab", "\t"),
        ("a: b: c\n", "a colon is not allowed", ":"),
        ("x: 1\na: {b: 1\n\n\n", "a map that starts with {", "a: {b: 1"),
        ("x: 1\na: [b,", "a value is missing here", "a: [b,"),
        ('x: 1\na: "b c\n', "a quote is not closed", '"b'),
        ("a: *b\n", "a *name is used", "*b"),
        ("a: 1\nb: \x07\n", "character number 0x7", "\x07"),
        ("a: 1\n<<: 2\n", "<< must refer to a map", "2"),
        # While it is read
        (LOCAL + "a: !!int b\n", "'b' is not what its tag", "b"),
        (LOCAL + "a: &x [*x]\n", "the alias stands inside", "[*x]"),
        (LOCAL + "max_workers: 1\n'max_workers': 2\n", "duplicate key", "'max_workers'"),
        # What the file does not say, at the nearest map around it
        ("# c\n\nprovider: {type: local}\n", "is required", "provider: {type: local}"),
        ("cluster_name: a\nprovider: {}\n", "provider.type: is required", "provider"),
        ("cluster_name: a\nprovider: {type: ssh}\n", "head_ip: is required", "provider"),
        (AWS + TYPES + "    resources: {CPU: 1}\n", "must name an InstanceType", "a"),
        # Keys and values
        (LOCAL + "max_wrokers: 3\n", "unknown key", "max_wrokers"),
        (LOCAL + "budget: # none\n", "has no value", "budget"),
        (LOCAL + "setup_commands:\n  -\n  - a\n", "[0]: has no value", "-"),
        (LOCAL + "setup_commands:\n  - {a: b}\n", "[0]: must be text", "{a: b}"),
        (LOCAL + "setup_commands:\n  - a: b\n    c: d\n", "[0]: must be text", "a: b"),
        (LOCAL + "max_workers: &n many # x\n", "must be a whole number", "many"),
        (LOCAL + "max_workers:\n  - 1\n", "must be a whole number", "max_workers"),
        (LOCAL + "max_workers: |\n  many\n", "must be a whole number", "max_workers"),
        (LOCAL + "max_workers: 'a\n  b'\n", "must be a whole number", "max_workers"),
        (LOCAL + "file_mounts:\n  ~/d: ./nix\n", "does not exist here", "./nix"),
        # From elsewhere in the file: where the value is included, its own keys where they stand
        ("cluster_name: &n a b\nprovider: {type: *n}\n", "unknown provider", "*n"),
        (NODE + "TagSpecifications: [&t [], *t]}\n", "[1]: must be a map", "*t"),
        (LOCAL + "metadata: {x: &x {user: b}}\nauth: *x\n", "auth.user: unknown key", "user"),
        (LOCAL + "metadata: {x: &x {user: b}}\nauth:\n  <<: *x\n", "unknown key", "user"),
        # What has no meaning here
        (LOCAL + "autoscaling_mode: default\n", "is ignored", "autoscaling_mode"),
        (LOCAL + "docker: {image: a}\n", "is not used on local", "docker"),
    ],
)
def test_a_problem_is_marked_where_it_stands(text: str, message: str, marked: str) -> None:
    for written in (text, text.replace("\n", "\r\n"), "# 😀\n" + text):
        (problem,) = [one for one in found(written) if message in str(one)]
        assert problem.span
        assert problem.line
        assert written[problem.span.begin : problem.span.end] == marked
        before = written[: problem.span.begin].count("\n") + 1
        at_the_end = not written.split("\n", problem.line - 1)[-1].strip()
        assert before == problem.line or at_the_end


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        (LOCAL + "max_wrokers: 3 # é😀\n", LOCAL + "max_workers: 3 # é😀\n"),
        (LOCAL + "'max_wrokers': 3\n", LOCAL + "max_workers: 3\n"),
        (LOCAL.replace("local", "lokal"), LOCAL),
        (LOCAL.replace("local", "&kind 'lokal'"), LOCAL.replace("local", "&kind local")),
        (
            LOCAL + "head_node_type: two words\navailable_node_types: {two wordz: {}}\n",
            LOCAL + 'head_node_type: "two wordz"\navailable_node_types: {two wordz: {}}\n',
        ),
        (
            LOCAL + "head_node_type: type1\navailable_node_types: {'1type': {}}\n",
            LOCAL + "head_node_type: 1type\navailable_node_types: {'1type': {}}\n",
        ),
        (
            LOCAL + "metadata: {x: &x {ssh_usr: b}}\nauth: {<<: *x}\n",
            LOCAL + "metadata: {x: &x {ssh_user: b}}\nauth: {<<: *x}\n",
        ),
        (LOCAL + 'max_workers: "30"\n', LOCAL + "max_workers: 30\n"),
        (LOCAL + "max_workers: 010\n", LOCAL + "max_workers: 10\n"),
        (LOCAL + "docker: {image: 3.10}\n", LOCAL + 'docker: {image: "3.10"}\n'),
        (LOCAL + "setup_commands:\n  - off\n", LOCAL + 'setup_commands:\n  - "off"\n'),
        (
            LOCAL + TYPES + "    resources: {gpu: 1}\n",
            LOCAL + TYPES + "    resources: {GPU: 1}\n",
        ),
        (NODE + "EbsOptimised: true}\n", NODE + "EbsOptimized: true}\n"),
        (NODE + "ImageId: ubuntu-24.4}\n", NODE + "ImageId: ubuntu-24.04}\n"),
        (
            NODE + "InstanceInitiatedShutdownBehavior: Stop}\n",
            NODE + "InstanceInitiatedShutdownBehavior: stop}\n",
        ),
        (
            NODE + "InstanceInitiatedShutdownBehavior: terminat}\n",
            NODE + "InstanceInitiatedShutdownBehavior: terminate}\n",
        ),
        (NODE.replace("m5.large", "m5.lagre") + "}\n", NODE + "}\n"),
    ],
)
def test_the_fix_makes_a_valid_file(text: str, mended: str) -> None:
    for break_ in ("\n", "\r\n"):
        written = text.replace("\n", break_)
        (fix,) = {one.fix for one in found(written) if one.fix}
        after = written[: fix.span.begin] + fix.text + written[fix.span.end :]
        assert after == mended.replace("\n", break_)
        assert not examine(after, "cluster.yaml", Path()).problems


@pytest.mark.parametrize(
    "text",
    [
        LOCAL + "max_workers: 1\nmax_wrokers: 3\n",  # it would be a duplicate key
        LOCAL + "imag: x\n",  # a key of another section
        LOCAL + "hello: 3\n",
        LOCAL + "max_workers: 'nan'\n",
        LOCAL.replace("local", "|\n  lokal\n "),
        LOCAL + "max_workers: 1\nmax_workers: 2\n",
    ],
)
def test_what_would_not_help_is_not_offered(text: str) -> None:
    problems = found(text)
    assert problems
    assert not any(one.fix for one in problems)


def test_notices_are_told_of_a_file_with_problems_too() -> None:
    examined = examine(LOCAL + "autoscaling_mode: default\nnix: 1\n", "c.yaml", Path())
    assert examined.config is None
    assert [one.key for one in examined.problems] == ["nix"]
    assert [one.key for one in examined.notices] == ["autoscaling_mode"]


def test_a_thousand_unknown_types_of_instances_take_no_minutes() -> None:
    types = "".join(f"  t{n}: {{node_config: {{InstanceType: m5.lagre{n}}}}}\n" for n in range(999))
    problems = found(AWS + "head_node_type: t1\navailable_node_types:\n" + types)
    assert len(problems) == 999
    assert sum("did you mean" in str(one) for one in problems) == 20
