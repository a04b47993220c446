"""credstash's sessions: boto3's, kept by their credentials, with the last one for whoever names none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import boto3

_Key = tuple[str | None, ...]


class _Sessions:
    """What this process has asked for."""

    def __init__(self) -> None:
        self.kept: dict[_Key, boto3.Session] = {}
        self.last: boto3.Session | None = None


_sessions = _Sessions()


def get_session(
    aws_access_key_id: str | None = None,
    aws_secret_access_key: str | None = None,
    aws_session_token: str | None = None,
    profile_name: str | None = None,
) -> boto3.Session:
    """A session with these credentials, the same one each time; without any, the last one that was asked for.

    Other functions that are told no credentials use that last one too.
    """
    _sessions.last = session_of(aws_access_key_id, aws_secret_access_key, aws_session_token, profile_name)
    return _sessions.last


def reset_sessions() -> None:
    """Forget all sessions."""
    _sessions.kept.clear()
    _sessions.last = None


def session_of(*given: str | None) -> boto3.Session:
    """As :func:`get_session`, and what was the last one stays so."""
    if not any(given) and _sessions.last is not None:
        return _sessions.last
    if given not in _sessions.kept:
        import boto3

        access_key_id, secret_access_key, session_token, profile_name = given
        if access_key_id is None:
            made = boto3.Session(profile_name=profile_name)
        else:
            made = boto3.Session(
                aws_access_key_id=access_key_id,
                aws_secret_access_key=secret_access_key,
                aws_session_token=session_token,
                profile_name=profile_name,
            )
        _sessions.kept[given] = made
    return _sessions.kept[given]


def last_session() -> boto3.Session | None:
    """What the program asked for last with :func:`get_session`; None where it never did."""
    return _sessions.last
