"""The route language, as far as an annex's macros need it."""

import pytest

from annex_core.adapters.route_text import RouteTextError, expand, logical_lines, macros


def value(text: str, name: str = "AnnexRegion", **configuration: str) -> str:
    return expand(f"$({name})", macros(logical_lines(text.splitlines()), configuration), configuration)


def test_a_macro_is_a_name_an_equals_sign_and_a_text() -> None:
    assert value("AnnexRegion = us-east-2") == "us-east-2"


def test_names_are_the_same_in_any_case() -> None:
    assert value("annexregion=us-east-2") == "us-east-2"


def test_comments_and_the_routes_commands_are_passed_over() -> None:
    assert value('# AnnexRegion = no\nREQUIREMENTS true\nSET AnnexRegion "no"\nAnnexRegion = yes') == "yes"


def test_a_backslash_continues_a_line() -> None:
    assert value("AnnexRegion = us- \\\n   east-2") == "us- east-2"


def test_a_text_of_several_lines_ends_with_its_tag() -> None:
    assert value("AnnexRegion @=end\n a\n b\n@end\nOther = c") == "a\nb"


def test_the_last_definition_counts_wherever_the_reference_stands() -> None:
    assert value("AnnexRegion = $(A)\nA = 1\nA = 2") == "2"


def test_a_macro_that_names_itself_means_what_it_was_before() -> None:
    assert value("AnnexRegion = a\nAnnexRegion = $(AnnexRegion) b") == "a b"


def test_plus_equals_appends() -> None:
    assert value("AnnexRegion = a\nAnnexRegion += b") == "a b"


def test_a_macro_may_extend_the_pool_wide_one() -> None:
    assert value("AnnexRegion = $(AnnexRegion), b", AnnexRegion="a") == "a, b"


def test_the_routes_own_macros_come_before_the_configuration() -> None:
    assert value("AnnexRegion = $(A)$(B)\nA = own", A="pool", B="-pool") == "own-pool"


def test_a_default_stands_in_for_what_is_defined_nowhere() -> None:
    assert value("AnnexRegion = $(A:$(B:x))") == "x"


def test_a_reference_that_nothing_defines_is_refused() -> None:
    with pytest.raises(RouteTextError, match=r"\$\(A\) is defined nowhere"):
        value("AnnexRegion = $(A)")


def test_what_depends_on_the_job_is_refused() -> None:
    with pytest.raises(RouteTextError, match="depends on the job"):
        value("AnnexRegion = $(B)\nB = $(MY.Owner)")


def test_functions_are_refused() -> None:
    with pytest.raises(RouteTextError, match=r"\$INT\("):
        value("AnnexRegion = $INT(A)\nA = 1")


def test_a_circle_is_refused() -> None:
    with pytest.raises(RouteTextError, match="refers to itself"):
        value("AnnexRegion = $(A)\nA = $(B)\nB = $(A)")


def test_dollar_is_a_dollar() -> None:
    assert value("AnnexRegion = $(DOLLAR)(A)") == "$(A)"


@pytest.mark.parametrize(
    ("condition", "chosen"),
    [
        ("true", "if"),
        ("no", "else"),
        ("0", "else"),
        ("2.5", "if"),
        ("defined SITE", "if"),
        ("! defined SITE", "else"),
        ("defined NOWHERE", "else"),
        ("defined Own", "if"),
        ("$(SITE)", "if"),
        ("$(NOWHERE)", "else"),
    ],
)
def test_a_condition_that_needs_no_job_is_decided(condition: str, chosen: str) -> None:
    text = f"Own = 1\nif {condition}\nAnnexRegion = if\nelse\nAnnexRegion = else\nendif"

    assert value(text, SITE="1") == chosen


def test_the_first_true_branch_is_taken() -> None:
    assert value("if false\nAnnexRegion=a\nelif true\nAnnexRegion=b\nelif true\nAnnexRegion=c\nendif") == "b"


def test_a_true_if_inside_a_false_one_changes_nothing() -> None:
    assert value("AnnexRegion=a\nif false\nif true\nAnnexRegion=b\nelse\nAnnexRegion=c\nendif\nendif") == "a"


@pytest.mark.parametrize("condition", ["defined MY.Requirements", "version >= 24.0", "$(MY.Prio)"])
def test_a_macro_set_where_only_the_router_decides_is_refused(condition: str) -> None:
    with pytest.raises(RouteTextError, match="only the job router can decide"):
        value(f"if {condition}\nAnnexRegion = a\nendif")


def test_commands_under_a_condition_of_the_jobs_are_nobodys_trouble() -> None:
    assert value("if defined MY.A\nSET B $(MY.A)\nendif\nAnnexRegion = a") == "a"


@pytest.mark.parametrize("text", ["if true\nA = 1", "endif", "else", "if true\nelse\nelse\nendif", "A @=end\nb"])
def test_what_the_router_would_not_take_is_refused(text: str) -> None:
    with pytest.raises(RouteTextError):
        macros(logical_lines(text.splitlines()), {})


def test_an_annex_line_that_defines_nothing_is_refused_with_its_line() -> None:
    with pytest.raises(RouteTextError) as caught:
        macros(logical_lines(["A = 1", "", "AnnexRegion us-east-2"]), {})

    assert caught.value.line == 3
