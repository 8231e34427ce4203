"""Who signs what setup, check-setup and teardown ask: as the withdrawn tool took it, on the local cloud."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from werkzeug import Request, Response

from annex_core.cli.main import main
from rehearsal.cloud.cloud import LocalCloud
from rehearsal.cloud.serving import Server
from tests.aws.conftest import Run

SECRET = "Planted/Secret+That/Nobody/May/Ever/See00"


@pytest.fixture
def key_files(tmp_path: Path) -> tuple[str, str]:
    files = tmp_path / "publicKeyFile", tmp_path / "privateKeyFile"
    for file, text in zip(files, ("AKIAOFALICE", SECRET), strict=True):
        file.write_text(text + "\n")
        file.chmod(0o600)
    return str(files[0]), str(files[1])


@pytest.fixture
def nothing_else(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment has no credentials, not even those that run gave it; whoever looks there finds none."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")


def instance_metadata(request: Request) -> Response:
    """IMDSv2, as far as credentials go."""
    if request.method == "PUT":
        return Response("token")
    if request.path.endswith("/security-credentials/"):
        return Response("operators")
    return Response(
        json.dumps(
            {
                "Code": "Success",
                "AccessKeyId": "ASIAOFTHEINSTANCE",
                "SecretAccessKey": SECRET,
                "Token": "session",
                "Expiration": "2099-01-01T00:00:00Z",
            }
        )
    )


@pytest.fixture
def on_an_instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = Server("127.0.0.1", 0, Request.application(instance_metadata))
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url)
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
    yield
    server.stop()


@pytest.mark.usefixtures("nothing_else")
def test_two_key_files_sign(run: Run, key_files: tuple[str, str]) -> None:
    status, text = run("-setup", "-yes", *key_files)
    assert (status, SECRET in text) == (0, False)
    assert run("-check-setup", *key_files)[0] == 0
    assert run("-teardown", "-yes", *key_files)[0] == 0


@pytest.mark.usefixtures("nothing_else")
def test_the_region_is_that_of_cloudformation_s_url(run: Run, key_files: tuple[str, str]) -> None:
    status, text = run("-setup", "-dry-run", *key_files, "https://cloudformation.eu-west-1.amazonaws.com")
    assert (status, text.splitlines()[3]) == (0, "eu-west-1")


@pytest.mark.usefixtures("nothing_else")
@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_key_files_that_others_may_read_are_refused(run: Run, key_files: tuple[str, str], mode: int) -> None:
    Path(key_files[1]).chmod(mode)
    status, text = run("-setup", "-yes", *key_files)
    assert (status, f"{key_files[1]} may be read by others; run: chmod 600" in text) == (1, True)


@pytest.mark.usefixtures("nothing_else")
@pytest.mark.parametrize("content", [b"", b"two words", b"\xff\xfe", b"x" * 300], ids=["empty", "two", "bytes", "long"])
def test_what_is_no_key_is_refused_and_not_shown(run: Run, key_files: tuple[str, str], content: bytes) -> None:
    Path(key_files[1]).write_bytes(content)
    status, text = run("-setup", "-yes", *key_files)
    assert (status, text) == (
        1,
        f"condor_annex setup: {key_files[1]} doesn't hold a key: one word, and nothing else\n",
    )


@pytest.mark.usefixtures("nothing_else")
def test_a_key_file_that_is_not_there_is_said(run: Run, tmp_path: Path) -> None:
    status, text = run("-setup", "-yes", str(tmp_path / "a"), str(tmp_path / "b"))
    assert (status, "/a: No such file or directory" in text) == (1, True)


@pytest.mark.usefixtures("on_an_instance")
def test_from_instance_the_instance_s_role_signs_and_nothing_else(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("-setup", "FROM", "INSTANCE", "-dry-run")[0] == 0
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # the environment still has keys
    status, text = run("-setup", "FROM", "INSTANCE", "-dry-run")
    assert (status, "Unable to locate credentials" in text, "-profile NAME" in text) == (1, True, True)


@pytest.mark.parametrize(
    "words",
    [
        ["FROM"],
        ["a", "b", "not-a-url"],
        ["a", "b", "https://x", "c"],
        ["FROM", "INSTANCE", "-profile", "me"],
    ],
)
def test_words_that_are_no_credentials_are_refused(run: Run, words: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run("-setup", *words)
    assert end.value.code == 2


# The withdrawn tool's knobs

Knobs = Callable[..., None]
DASHED = pytest.mark.parametrize("words", [("-setup", "-dry-run"), ("-check-setup",)], ids=lambda words: words[0])


@pytest.fixture
def region(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """region(VERB, ...) -> the one that it looks at, where the environment names none."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    def of(*words: str) -> str:
        _, text = run(*words)
        return next((line for line in text.splitlines() if line in {"us-west-2", "eu-west-1"}), text)

    return of


@DASHED
@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("ANNEX_DEFAULT_AWS_REGION", "us-west-2"),
        ("ANNEX_DEFAULT_EC2_URL", "https://ec2.us-west-2.amazonaws.com"),
    ],
)
def test_the_dashed_verbs_take_the_region_of_the_knobs(
    region: Callable[..., str], user_config: Knobs, words: tuple[str, ...], knob: str, value: str
) -> None:
    user_config(**{knob: value})
    assert region(*words) == "us-west-2"


@DASHED
def test_the_region_of_the_command_line_goes_before(
    region: Callable[..., str], user_config: Knobs, words: tuple[str, ...]
) -> None:
    user_config(ANNEX_DEFAULT_AWS_REGION="us-west-2")
    assert region(*words, "-regions", "eu-west-1") == "eu-west-1"


def test_the_region_of_cloudformation_s_url_goes_before(
    region: Callable[..., str], user_config: Knobs, key_files: tuple[str, str]
) -> None:
    user_config(ANNEX_DEFAULT_AWS_REGION="us-west-2")
    url = "https://cloudformation.eu-west-1.amazonaws.com"
    assert region("-setup", "-dry-run", *key_files, url) == "eu-west-1"


@pytest.mark.parametrize("words", [("setup", "-dry-run"), ("check-setup",)])
def test_verbs_without_a_dash_know_no_such_knob(
    region: Callable[..., str], user_config: Knobs, words: tuple[str, ...]
) -> None:
    user_config(ANNEX_DEFAULT_AWS_REGION="us-west-2")
    assert "say which region" in region(*words)


@DASHED
def test_a_knob_with_an_endpoint_that_is_not_aws_s_own_is_refused(
    run: Run, user_config: Knobs, words: tuple[str, ...]
) -> None:
    user_config(ANNEX_DEFAULT_EC2_URL="http://127.0.0.1:4566")
    status, text = run(*words)
    assert (status, "ANNEX_DEFAULT_EC2_URL (user_config:1) http://127.0.0.1:4566" in text) == (2, True)


@DASHED
@pytest.mark.usefixtures("nothing_else")
@pytest.mark.parametrize("before", ["", "us_west_2."], ids=["everywhere", "in the region"])
def test_the_dashed_verbs_sign_by_the_key_files_of_the_knobs(
    run: Run, user_config: Knobs, key_files: tuple[str, str], words: tuple[str, ...], before: str
) -> None:
    access, secret = key_files
    user_config(
        ANNEX_DEFAULT_AWS_REGION="us-west-2",
        **{f"{before}ANNEX_DEFAULT_ACCESS_KEY_FILE": access, f"{before}ANNEX_DEFAULT_SECRET_KEY_FILE": secret},
    )
    assert run(*words)[1].startswith("Account 123456789012\n")


def test_the_key_files_of_the_command_line_go_before(run: Run, user_config: Knobs, key_files: tuple[str, str]) -> None:
    user_config(ANNEX_DEFAULT_ACCESS_KEY_FILE="/nowhere", ANNEX_DEFAULT_SECRET_KEY_FILE="/nowhere")
    assert run("-setup", "-dry-run", *key_files)[0] == 0
    assert "/nowhere: No such file or directory" in run("-setup", "-dry-run")[1]


@pytest.mark.usefixtures("on_an_instance")
def test_from_instance_may_stand_in_the_knobs(run: Run, user_config: Knobs, monkeypatch: pytest.MonkeyPatch) -> None:
    user_config(ANNEX_DEFAULT_ACCESS_KEY_FILE="FROM INSTANCE", ANNEX_DEFAULT_SECRET_KEY_FILE="FROM INSTANCE")
    assert run("-setup", "-dry-run")[0] == 0
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # the environment still has keys
    assert "Unable to locate credentials" in run("-setup", "-dry-run")[1]


@pytest.mark.usefixtures("nothing_else")
@pytest.mark.parametrize("verb", ["-setup", "-check-setup"])
@pytest.mark.parametrize("which", ["-aws-access-key-file", "-access-key-file"])
def test_options_that_only_the_tools_before_had_sign_and_the_knobs_hold_beside_them(
    local_cloud: LocalCloud,
    user_config: Knobs,
    key_files: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verb: str,
    which: str,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", local_cloud.url)
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    user_config(ANNEX_DEFAULT_AWS_REGION="us-west-2")
    main([verb, which, key_files[0], which.replace("access", "secret"), key_files[1], *(["-yes"] * (verb == "-setup"))])
    printed = capsys.readouterr()
    assert printed.out.startswith("Account 123456789012\n"), printed.err
    assert "us-west-2" in printed.out
