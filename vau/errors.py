"""Errors that a user of `vau` can meet, each saying what was wrong and what to do about it.

Every error that `vau` raises on purpose is a `VauError`; `exit_code` is what the command line returns for it.
"""

from __future__ import annotations


class VauError(Exception):
    """Base of all deliberate errors of this package."""

    exit_code = 1


class InputError(VauError):
    """What the user gave cannot be used; exit code 2."""

    exit_code = 2


class VideoError(InputError):
    """A video that cannot be opened or decoded."""


class VideoOpenError(VideoError):
    """The file is missing, empty, not a video, of a refused format, or holds no video stream."""


class VideoLimitError(VideoError):
    """The video exceeds a limit on pixels, duration, frames or bytes."""


class ConfigError(InputError):
    """A configuration file or value is wrong."""


class ReportError(InputError):
    """A saved report cannot be read: not JSON, of another schema, or damaged."""


class CheckpointError(InputError):
    """A checkpoint cannot be used: of another kind or format, damaged, or a pickle, which is never loaded."""


class MissingExtraError(VauError):
    """An optional package is not installed; the message names the extra that brings it."""

    exit_code = 3

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f'{feature} needs an optional package: pip install "vau[{extra}]"')
        self.feature = feature
        self.extra = extra


class WeightsError(VauError):
    """Model weights are missing or their SHA-256 is not the expected one."""

    exit_code = 3


class PerceptionError(VauError):
    """A model of the perception stage failed or returned something malformed."""


class ScoreError(VauError):
    """A scorer produced NaN or infinity, or was given observations that it cannot score."""


class MllmError(VauError):
    """A language model, or the server that runs it, could not do what was asked; `retryable` where it yet may."""

    retryable = False


class MllmUnavailable(MllmError):
    """The model's server was not reached, failed, or broke off in the middle of its answer.

    `retry_after_s` is the pause that the server asked for, None where it named none.
    """

    exit_code = 3
    retryable = True

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class MllmTimeout(MllmError):
    """The model did not answer in the time that it was given."""

    exit_code = 3
    retryable = True


class MllmRefused(MllmError):
    """The model's server refused the request: asking again would not help, another key, model or prompt may."""

    exit_code = 2


class MllmCancelled(MllmError):
    """The call was given up on this side before the model answered."""


class MllmCannot(MllmError):
    """This backend cannot do what was asked, such as likelihoods on a server that returns none."""


class ParseError(MllmError):
    """A model's reply is not of the form that was asked for; `raw` is the whole reply as it came."""

    def __init__(self, message: str, raw: str) -> None:
        super().__init__(message)
        self.raw = raw


class CacheError(InputError):
    """The response cache cannot be used: not a cache of this package, not writable, or not a file."""
