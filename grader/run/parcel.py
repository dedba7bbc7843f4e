"""A job that travels by value: with the bytes of the small files that it names by path.

Pictures of a form and a calibration lie beside the coordinator, not on the machine that reads. There they are
unpacked into a folder that only the reading user may enter, named by its content, so that many workers share it.
Weights do not travel: they come with the installation, and their hashes are compared (`grader.run.node`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from grader.errors import GraderError
from grader.reading.roster import Entry, Roster
from grader.run.job import CALIBRATION, Job

_KEPT_SECONDS = 7 * 24 * 3600  # folders of earlier jobs: a calibration tells something about answers


@dataclass(frozen=True)
class Parcel:
    """files: path relative to the form's folder → bytes. calibration: bytes of its file, None without one.
    folder: where the coordinator was started, from which relative names of scans go."""

    job: Job
    folder: str
    files: dict[str, bytes] = field(repr=False)
    calibration: bytes | None = field(repr=False)

    def unpack(self, root: Path | None = None) -> Job:
        """The job with its files on this machine, below `root` (by default the user's own in the temporary folder).

        Raises GraderError where they cannot be written.
        """
        try:
            folder = _private(root or Path(tempfile.gettempdir()) / f"grader-{os.getuid()}") / self._digest()
            for name, data in self.files.items():
                _keep(folder / "form" / name, data)
            if self.calibration is not None:
                _keep(folder / CALIBRATION, self.calibration)
            _forget_others(folder)
        except OSError as error:
            what = f"the files of the job cannot be written to {error.filename}: {error.strerror}"
            raise GraderError(what, "make room in the temporary folder, or name another one by TMPDIR") from error
        calibration = None if self.calibration is None else folder / CALIBRATION
        return replace(self.job, form_folder=folder / "form", calibration=calibration)

    def enter(self) -> None:
        """Go to where relative names of scans go from, where that folder is here too."""
        with suppress(OSError):
            os.chdir(self.folder)

    def _digest(self) -> str:
        parts = hashlib.sha256()
        for name, data in sorted({**self.files, "\0": self.calibration or b""}.items()):
            parts.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
        return parts.hexdigest()


def pack(job: Job) -> Parcel:
    """The job as it can be sent. Names of candidates stay behind, but where plain paper is told by them.

    Raises GraderError where a file of the job cannot be read, or lies outside the form's folder.
    """
    files: dict[str, bytes] = {}
    try:
        for name in job.form.pictures():
            inside = PurePosixPath(name)
            if inside.is_absolute() or ".." in inside.parts:
                remedy = "put it beside form.json"
                raise GraderError(f"the form's picture {name} is not in the form's folder: it cannot be sent", remedy)
            files[name] = (job.form_folder / name).read_bytes()
        calibration = job.calibration.read_bytes() if job.calibration else None
    except OSError as error:
        raise GraderError(f"{error.filename} cannot be read: {error.strerror}", "restore it") from error
    roster = job.roster
    if roster is not None and not job.form.plain:
        roster = Roster([Entry(candidate) for candidate in roster.candidates])
    sent = replace(job, form_folder=Path(), roster=roster, calibration=None)
    return Parcel(sent, os.getcwd(), files, calibration)


def _private(folder: Path) -> Path:
    """The folder, which nobody else may enter. Raises GraderError where somebody else made it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise GraderError(f"{folder} is not a folder of this user alone", "remove it, or set TMPDIR to another one")
    return folder


def _keep(path: Path, data: bytes) -> None:
    """Write the file whole or not at all; other workers may be doing the same."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.utime(path.parent)
    if path.is_file() and path.read_bytes() == data:
        return
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_bytes(data)
    os.replace(partial, path)


def _forget_others(folder: Path) -> None:
    if folder.is_dir():
        os.utime(folder)
    for other in folder.parent.iterdir():
        with suppress(OSError):
            if other != folder and time.time() - other.stat().st_mtime > _KEPT_SECONDS:
                shutil.rmtree(other)
