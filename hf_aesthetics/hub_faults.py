"""
What goes wrong between here and the Hub, each in one line: what was asked for, what came, what to do.

Knows nothing about what is read or written.
"""

from collections.abc import Generator
from contextlib import contextmanager

import httpx2
from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RevisionResolutionError,
)


# `HfHubHTTPError` is among them: it is an `httpx2.HTTPError`
HUB_FAULTS = (
    httpx2.HTTPError,
    ConnectionError,
    EntryNotFoundError,
    HFValidationError,
    RevisionResolutionError,
)


class HubPublishError(RuntimeError):
    """The Hub did not take a commit. The message is one line: what was expected, what came, what to do."""


@contextmanager
def reading_from_hub(repo_id: str, repo_type: str = "model", revision: str | None = None) -> Generator[None]:
    """
    Turns whatever goes wrong with the Hub while a repository is read into an `OSError` of one line.

    Args:
        repo_id (`str`):
            The repository.
        repo_type (`str`, *optional*, defaults to `"model"`):
            `"model"`, `"dataset"` or `"space"`.
        revision (`str`, *optional*):
            The revision that was asked for.

    Raises:
        OSError: If the Hub cannot be reached or refuses, or there is no such repository, revision or file.

    Example:
        >>> with reading_from_hub("org/parks", "dataset"):
        ...     raise OfflineModeIsEnabled("no requests")
        Traceback (most recent call last):
        ...
        OSError: Cannot read the dataset org/parks: offline mode is on. Unset HF_HUB_OFFLINE, or read it once while online.
    """  # noqa: E501
    try:
        yield
    except Exception as error:
        if (fault := _find_fault(error)) is None:
            raise
        told = explain_fault(fault, repo_id, repo_type, revision)
        raise OSError(f"Cannot read the {repo_type} {repo_id}: {told}") from error


@contextmanager
def writing_to_hub(repo_id: str, repo_type: str = "model", parent_commit: str | None = None) -> Generator[None]:
    """
    Turns whatever goes wrong while a repository is written into a [`HubPublishError`].

    Takes what [`reading_from_hub`] does, and `parent_commit`, the commit that is being replaced.
    """
    try:
        yield
    except HubPublishError:
        raise
    except Exception as error:
        fault = _find_fault(error) or error
        if not isinstance(fault, (*HUB_FAULTS, OSError)):
            raise
        told = explain_fault(fault, repo_id, repo_type, parent_commit, is_write=True)
        raise HubPublishError(f"Cannot push to {repo_id}: {told}") from error


def _find_fault(error: BaseException | None) -> Exception | None:
    """The error of the Hub's client behind an error; libraries wrap it in others of their own."""
    while error is not None and not isinstance(error, HUB_FAULTS):
        error = error.__cause__ or error.__context__
    return error


def explain_fault(
    error: Exception, repo_id: str, repo_type: str = "model", revision: str | None = None, *, is_write: bool = False
) -> str:
    """
    What an error of the Hub's client means and what to do, in one line.

    Example:
        >>> explain_fault(httpx2.ConnectError("refused"), "org/parks")
        'https://huggingface.co cannot be reached (refused). Check the connection and try again.'
    """
    page = f"{constants.ENDPOINT}/{'' if repo_type == 'model' else f'{repo_type}s/'}{repo_id}"
    again = "push again" if is_write else "try again"
    if isinstance(error, RevisionResolutionError) and isinstance(error.__cause__, HUB_FAULTS):
        error = error.__cause__
    if isinstance(error, OfflineModeIsEnabled):
        return f"offline mode is on. Unset HF_HUB_OFFLINE{'' if is_write else ', or read it once while online'}."
    if isinstance(error, HFValidationError):
        return f"a repository is called organisation/name, got {repo_id!r}. Correct the name."
    if isinstance(error, GatedRepoError):
        return f"it is gated. Ask for access at {page}, then log in with `hf auth login`."
    if isinstance(error, RepositoryNotFoundError):
        return f"no such {repo_type} that you may read. Check the spelling, or log in with `hf auth login`."
    if isinstance(error, RevisionNotFoundError):
        return f"no such commit, branch or tag as {revision!r}. See {page}/commits/main."
    if isinstance(error, HfHubHTTPError):
        status, said = error.response.status_code, one_line(error.server_message or error)
        return f"the Hub {_answer(status, revision, is_write)} {again}. (It said: {said})"
    if isinstance(error, EntryNotFoundError):
        return f"{one_line(error)} See {page}/tree/main."
    if isinstance(error, (httpx2.HTTPError, ConnectionError, RevisionResolutionError)):
        return f"{constants.ENDPOINT} cannot be reached ({one_line(error)}). Check the connection and {again}."
    return f"{one_line(error)} Nothing was changed; {again}."


def _answer(status: int, revision: str | None, is_write: bool) -> str:
    tokens = "https://huggingface.co/settings/tokens"
    match status, is_write:
        case 401, True:
            return f"does not know the token. Make one with write access at {tokens}, then"
        case 401, False:
            return f"does not know the token. Make one at {tokens}, or unset HF_TOKEN, then"
        case 403, True:
            return "does not let this token write there. Use one with write access to that user or organisation, then"
        case 403, False:
            return "does not let you read it. Log in with `hf auth login`, then"
        case 412, _:
            return f"has a newer commit than {revision or 'a moment ago'}. Look at what changed, then"
        case 429, _:
            return "has had too many requests. Wait some minutes, then"
        case _:
            return f"answered {status}. Wait a little, then"


def one_line(error: object) -> str:
    """The first paragraph of an error as one line, or its type where it says nothing."""
    return " ".join(str(error).split("\n\n")[0].split()) or type(error).__name__
