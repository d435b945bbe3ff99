from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vau.config import MAX_CONFIG_BYTES, Config
from vau.errors import ConfigError, VauError


def load(tmp_path, text: str | bytes) -> Config:
    path = tmp_path / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Config.load(path)


def test_default_round_trips_through_yaml(tmp_path):
    assert load(tmp_path, Config().to_yaml()) == Config()


@given(st.floats(0.5, 60), st.integers(64, 4096), st.booleans())
def test_any_valid_configuration_round_trips(fps, side, pose):
    config = Config().with_overrides({"video.sample_fps": fps, "report.image_side": side, "perception.pose": pose})
    again = Config.parse(yaml.safe_load(config.to_yaml()))
    assert again == config
    assert again.digest() == config.digest()


@pytest.mark.parametrize("text", ["", "# nothing", "{}", "---"])
def test_an_empty_file_is_the_default(tmp_path, text):
    assert load(tmp_path, text) == Config()


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("video: {sampel_fps: 2}", "video.sample_fps"),
        ("vidoe: {sample_fps: 2}", "video"),
        ("events: {treshold: 0.2}", "events.threshold"),
        ("report: {jpg_quality: 90}", "report.jpeg_quality"),
    ],
)
def test_an_unknown_key_names_the_nearest(tmp_path, text, nearest):
    with pytest.raises(ConfigError, match=rf"did you mean {nearest}\?"):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("video: {sample_fps: fast}", "video.sample_fps = 'fast'"),
        ("video: {sample_fps: 0}", "greater than 0"),
        ("video: {sample_fps: .nan}", "video.sample_fps = nan"),
        ("video: {sample_fps: .inf}", "video.sample_fps = inf"),
        ("video: {max_side: 12.5}", "video.max_side"),
        ("video: 3", "video = 3"),
        ("video: [1, 2]", "video"),
        ("video: null", "video = None"),
        ("perception: {detector: magic}", "'ssd' or 'yolo'"),
        ("perception: {pose: maybe}", "perception.pose"),
        ("scoring: {sensitivity: 1.01}", "scoring.sensitivity = 1.01"),
        ("- 1\n- 2", "the whole"),
        ("just words", "the whole"),
        ("1: 2", "1"),
    ],
)
def test_wrong_values_name_the_key_and_the_value(tmp_path, text, words):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert words in str(caught.value)
    assert "config.yaml" in str(caught.value)


def test_all_faults_are_named_at_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "video: {sample_fps: -1, max_side: 1}\nevents: {tresh: 1}")
    assert all(key in str(caught.value) for key in ("video.sample_fps", "video.max_side", "events.tresh"))


@pytest.mark.parametrize(
    "text",
    [
        "video: !!python/object/apply:os.system ['true']",
        "!!python/name:os.system",
        "video: {sample_fps: !!python/object/new:float [1]}",
        "a: [",
        "\t- x",
        "a: &a [*b]",
        "{[1]: 2}",
        b"\xff\xfe\x00\x01\x02",
        b"video: \xe9",
        "a: " + "[" * 20_000,
    ],
)
def test_unreadable_or_dangerous_yaml_is_a_config_error(tmp_path, text):
    with pytest.raises(ConfigError):
        load(tmp_path, text)


@pytest.mark.parametrize("text", ["video: 2001-13-45", "video: !!int x", "video: !!float x", "video: " + "9" * 5000])
def test_impossible_scalars_are_a_config_error(tmp_path, text):
    with pytest.raises(ConfigError):
        load(tmp_path, text)


def test_a_value_that_unfolds_is_not_echoed_whole(tmp_path):
    lines = ["a: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"b{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 5)]
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "\n".join([*lines, "video: *a4"]))
    assert len(str(caught.value)) < 10_000


def test_missing_and_oversized_files_and_folders_are_config_errors(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        Config.load(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="directory"):
        Config.load(tmp_path)
    with pytest.raises(ConfigError, match="larger than"):
        load(tmp_path, "#" * (MAX_CONFIG_BYTES + 1))


def test_config_errors_have_the_exit_code_of_wrong_input():
    assert issubclass(ConfigError, VauError)
    assert ConfigError.exit_code == 2


def test_overrides_replace_single_values():
    config = Config().with_overrides({"video.sample_fps": 2, "report.pictures": True})
    assert config.video.sample_fps == 2.0
    assert config.report.pictures is True
    assert config.video.max_side == Config().video.max_side
    assert Config().with_overrides({}) == Config()


@pytest.mark.parametrize(
    "key", ["video.sampel_fps", "vidoe.sample_fps", "video", "", ".", "video.", "video.sample_fps.x", "a.b.c"]
)
def test_overrides_refuse_unknown_keys(key):
    with pytest.raises(ConfigError):
        Config().with_overrides({key: 1})


def test_digest_is_stable_and_sees_every_value():
    default = Config()
    assert default.digest() == Config().digest() == Config.parse({"video": {"sample_fps": 4}}).digest()
    assert len(default.digest()) == 16
    seen = {default.digest()}
    for section, values in default.model_dump().items():
        for key, value in values.items():
            if isinstance(value, bool):
                other: object = not value
            elif isinstance(value, int | float):
                other = type(value)(value * 1.5) if value * 1.5 <= 1 or value > 1 else value * 0.9
            else:
                continue
            try:
                changed = default.with_overrides({f"{section}.{key}": other})
            except ConfigError:
                changed = default.with_overrides({f"{section}.{key}": type(value)(value * 0.6)})
            assert changed != default, key
            seen.add(changed.digest())
    assert len(seen) > 30


def test_configuration_is_frozen():
    with pytest.raises(ValidationError):
        Config().video.sample_fps = 2.0  # type: ignore[misc]
