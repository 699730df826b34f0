"""What lands in a pod's model repository, and what never may: files, restarts, kills, ConfigMaps."""

import fcntl
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fetch_helpers import manifest, remote, rendered, sha256, stamps, start_fetch, tree, write_manifest
from mrc.cli.fetch import fetch
from mrc.fetch import FetchError, RemoteFile, Sources, fetch_repository, place, verify_artifact

WEIGHTS = b"weights" * 1000
CONFIG = b'name: "fraud"\n'


class Pod:
    """A volume with a repository on it, a ConfigMap beside it, and a store of artifacts."""

    def __init__(self, folder: Path) -> None:
        self.store, self.mounted = folder / "store", folder / "mounted"
        self.volume, self.repository = folder / "volume", folder / "volume" / "repository"
        self.store.mkdir()
        self.volume.mkdir()
        (self.store / "model.onnx").write_bytes(WEIGHTS)
        self.uri = (self.store / "model.onnx").as_uri()
        self.file = remote("fraud/42/model.onnx", self.uri, WEIGHTS)
        self.config = rendered("fraud/config.pbtxt", "fraud.config.pbtxt", CONFIG)
        self.manifest = manifest(self.file, configs=[self.config], directories=["ensemble/42"])
        self.path = write_manifest(self.mounted, self.manifest, fraud_config_pbtxt=CONFIG)

    def fetch(self, content: object = None) -> Result:
        if content is not None:
            write_manifest(self.mounted, content)
        return CliRunner().invoke(fetch, [str(self.path), "--to", str(self.repository)], catch_exceptions=False)

    def laid_down(self) -> dict[str, bytes | None]:
        return tree(self.repository)


COMPLETE = {
    "ensemble": None,
    "ensemble/42": None,
    "fraud": None,
    "fraud/42": None,
    "fraud/42/model.onnx": WEIGHTS,
    "fraud/config.pbtxt": CONFIG,
}


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path)


def test_the_repository_holds_what_the_manifest_says_and_nothing_else(pod: Pod) -> None:
    before = os.umask(0o077)  # another user's Triton must be able to read it all the same
    try:
        done = pod.fetch()
    finally:
        os.umask(before)
    assert (done.exit_code, done.stdout) == (0, "")
    assert pod.laid_down() == COMPLETE
    for path in (pod.repository, *pod.repository.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path
    # Triton takes every entry of the root for a model; what mrc needs lies beside it.
    assert {path.name for path in pod.volume.iterdir()} == {"repository", ".repository.lock"}
    line = done.stderr.splitlines()[0].split()
    assert line[1:3] in (["6.8", "KiB"], ["14", "B"])
    assert all(character.isprintable() or character == "\n" for character in done.stderr)


def test_a_wrong_digest_names_the_file_and_leaves_the_old_repository_alone(pod: Pod) -> None:
    pod.fetch()
    before = tree(pod.repository), stamps(pod.repository)
    (pod.store / "model.onnx").write_bytes(WEIGHTS[::-1])
    (pod.mounted / "new.pbtxt").write_bytes(b"new")
    next_version = remote("fraud/43/model.onnx", pod.uri, WEIGHTS)
    good = remote("good/43/model.onnx", pod.uri, WEIGHTS[::-1])
    done = pod.fetch(manifest(next_version, good, configs=[rendered("fraud/config.pbtxt", "new.pbtxt", b"new")]))
    assert done.exit_code == 1
    assert "error: fraud/43/model.onnx" in done.stderr
    assert f"expected: sha256 {sha256(WEIGHTS)}" in done.stderr
    assert f"found:    sha256 {sha256(WEIGHTS[::-1])}" in done.stderr
    assert "to do:" in done.stderr
    assert (tree(pod.repository), stamps(pod.repository)) == before
    assert not (pod.volume / ".repository.partial").exists()


def test_all_bad_files_are_named_at_once(pod: Pod) -> None:
    done = pod.fetch(
        manifest(
            pod.file | {"sha256": "0" * 64},
            remote("fraud/42/gone", (pod.store / "gone").as_uri(), b"x"),
            remote("fraud/42/short", pod.uri, WEIGHTS, size=len(WEIGHTS) + 1),
            remote("fraud/42/long", pod.uri, WEIGHTS, size=len(WEIGHTS) - 1),
            configs=[pod.config | {"sha256": "1" * 64}, rendered("a/config.pbtxt", "absent", b"")],
        )
    )
    assert done.exit_code == 1
    for name in ("model.onnx", "gone", "short", "long"):
        assert f"error: fraud/42/{name}\n" in done.stderr
    assert "error: fraud/config.pbtxt\n" in done.stderr
    assert "error: a/config.pbtxt\n" in done.stderr
    assert not pod.repository.exists()


def test_an_init_container_that_restarts_downloads_nothing(pod: Pod) -> None:
    pod.fetch()
    before = stamps(pod.repository)
    (pod.store / "model.onnx").unlink()
    done = pod.fetch()
    assert done.exit_code == 0
    assert "already there, verified" in done.stderr
    assert stamps(pod.repository) == before


def test_a_file_that_rotted_in_place_is_replaced_and_its_neighbour_kept(pod: Pod) -> None:
    (pod.store / "vocab").write_bytes(b"vocabulary")
    content = manifest(pod.file, remote("fraud/42/tokens/vocab", (pod.store / "vocab").as_uri(), b"vocabulary"))
    pod.fetch(content)
    (pod.repository / "fraud/42/model.onnx").write_bytes(WEIGHTS[::-1])
    (pod.store / "vocab").unlink()
    done = pod.fetch(content)
    assert done.exit_code == 0, done.stderr
    assert (pod.repository / "fraud/42/model.onnx").read_bytes() == WEIGHTS
    assert (pod.repository / "fraud/42/tokens/vocab").read_bytes() == b"vocabulary"


@pytest.mark.parametrize("stray", ["model.plan", "__pycache__/x.pyc", "link"])
def test_a_version_directory_holds_nothing_that_no_one_verified(pod: Pod, stray: str) -> None:
    pod.fetch()
    added = pod.repository / "fraud/42" / stray
    added.parent.mkdir(exist_ok=True)
    if stray == "link":
        added.symlink_to("/etc/passwd")
    else:
        added.write_bytes(b"not verified")
    (pod.store / "model.onnx").unlink()
    assert pod.fetch().exit_code == 0
    assert pod.laid_down() == COMPLETE


def test_other_versions_and_models_stay(pod: Pod) -> None:
    (pod.repository / "fraud/41").mkdir(parents=True)
    (pod.repository / "fraud/41/model.onnx").write_bytes(b"41")
    (pod.repository / "fraud/config.pbtxt").write_bytes(b"old")
    assert pod.fetch().exit_code == 0
    assert pod.laid_down() == COMPLETE | {"fraud/41": None, "fraud/41/model.onnx": b"41"}


def test_a_configmap_as_kubelet_mounts_it_is_read(pod: Pod) -> None:
    data = pod.mounted / "..2026_01_01"
    data.mkdir()
    for name in ("manifest.json", "fraud.config.pbtxt"):
        (pod.mounted / name).rename(data / name)
        (pod.mounted / name).symlink_to(Path("..data") / name)
    (pod.mounted / "..data").symlink_to(data.name)
    assert pod.fetch().exit_code == 0
    assert pod.laid_down() == COMPLETE
    assert not (pod.repository / "fraud/config.pbtxt").is_symlink()


@pytest.mark.parametrize("kind", ["symbolic link", "directory", "named pipe"])
def test_an_artifact_that_is_no_regular_file_is_refused(pod: Pod, kind: str) -> None:
    (pod.store / "model.onnx").rename(pod.store / "elsewhere")
    if kind == "symbolic link":
        (pod.store / "model.onnx").symlink_to("elsewhere")
    elif kind == "directory":
        (pod.store / "model.onnx").mkdir()
    else:
        os.mkfifo(pod.store / "model.onnx")
    done = pod.fetch()
    assert done.exit_code == 1
    assert "regular file" in done.stderr or "symbolic link" in done.stderr


def test_a_killed_run_leaves_nothing_behind_after_the_next_one(pod: Pod) -> None:
    partial = pod.volume / ".repository.partial"
    (partial / "fraud/42").mkdir(parents=True)
    (partial / "fraud/42/model.onnx").write_bytes(WEIGHTS[:100])
    assert pod.fetch().exit_code == 0
    assert not partial.exists()
    assert pod.laid_down() == COMPLETE


def test_two_runs_do_not_destroy_each_other(pod: Pod) -> None:
    with (pod.volume / ".repository.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        done = pod.fetch()
    assert done.exit_code == 1
    assert "another mrc fetch" in done.stderr
    assert not pod.repository.exists()


def test_too_little_space_is_told_before_anything_is_downloaded(pod: Pod) -> None:
    largest = 2**40  # bytes of one file
    count = 1 + 2 * shutil.disk_usage(pod.volume).free // largest
    huge = [pod.file | {"path": f"huge/{index}/model.onnx", "size": largest} for index in range(1, count + 1)]
    done = pod.fetch(manifest(pod.file, *huge))
    assert done.exit_code == 1
    assert f"{count * largest + pod.file['size']} bytes free" in done.stderr
    assert "model.onnx" not in done.stderr


def test_a_destination_that_cannot_be_renamed_into_is_wrong_use(pod: Pod) -> None:
    def refused(to: Path | str) -> str:
        done = CliRunner().invoke(fetch, [str(pod.path), "--to", str(to)], catch_exceptions=False)
        assert done.exit_code == 2
        return done.stderr

    (pod.volume / "file").write_bytes(b"")
    (pod.volume / "link").symlink_to(pod.store)
    assert "found:    a file" in refused(pod.volume / "file")
    assert "found:    a symbolic link" in refused(pod.volume / "link")
    assert "No such file" in refused(pod.volume / "absent" / "repository")
    assert "mount the volume one level higher" in refused("/dev/shm")
    assert "name of its own" in refused("/")


def test_what_stands_in_the_way_is_named_and_not_removed(pod: Pod) -> None:
    (pod.repository / "fraud/config.pbtxt").mkdir(parents=True)
    (pod.repository / "ensemble").symlink_to(pod.store)
    before = tree(pod.repository)
    done = pod.fetch()
    assert done.exit_code == 1
    assert "repository/fraud/config.pbtxt\n" in done.stderr
    assert "repository/ensemble\n" in done.stderr
    assert tree(pod.repository) == before


@pytest.mark.parametrize("content", ["{", "[]", '{"model": "x"}'])
def test_an_invalid_manifest_is_exit_code_2(pod: Pod, content: str) -> None:
    pod.path.write_text(content)
    done = pod.fetch()
    assert done.exit_code == 2
    assert str(pod.path) in done.stderr
    assert not pod.repository.exists()


def test_a_manifest_that_cannot_be_read_is_exit_code_2(pod: Pod) -> None:
    pod.path.unlink()
    assert "No such file" in pod.fetch().stderr
    pod.path.mkdir()
    assert pod.fetch().exit_code == 2
    pod.path.rmdir()
    pod.path.symlink_to("/dev/zero")
    assert pod.fetch().exit_code == 2


def test_a_volume_that_fills_up_in_the_middle_is_told(pod: Pod) -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)); "
        "from mrc.cli.fetch import fetch; fetch()"
    )
    arguments = [sys.executable, "-c", code, str(pod.path), "--to", str(pod.repository)]
    # Coverage writes a file of its own in each child, which the limit would stop too.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, env=clean)
    assert done.returncode == 1
    assert "error: fraud/42/model.onnx" in done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert not pod.repository.exists()


def test_a_volume_that_cannot_be_written_is_told_without_a_traceback(pod: Pod) -> None:
    process = start_fetch(pod.path, Path("/proc/repository"))
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "a volume that can be written" in stderr
    assert "Traceback" not in stderr


def test_the_old_version_is_put_back_when_the_new_one_cannot_be_renamed(pod: Pod) -> None:
    pod.fetch()
    staged = pod.volume / "staged"
    staged.mkdir()
    with pytest.raises(OSError, match="No such file"):
        place.place(staged, pod.repository, ["fraud/42"], [])
    assert pod.laid_down() == COMPLETE


def test_without_hard_links_a_damaged_version_is_fetched_again(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise OSError("not supported")

    pod.fetch()
    (pod.repository / "fraud/42/stray").write_bytes(b"")
    monkeypatch.setattr(os, "link", no_links)
    assert pod.fetch().exit_code == 0
    assert pod.laid_down() == COMPLETE


def test_a_caller_gets_the_problems_as_objects(pod: Pod) -> None:
    (pod.store / "model.onnx").unlink()
    with pytest.raises(FetchError) as caught:
        fetch_repository(pod.path, pod.repository, lambda _: None)
    (problem,) = caught.value.problems
    assert problem.file == "fraud/42/model.onnx"
    assert problem.temporary is False


def test_an_artifact_can_be_verified_without_keeping_it(pod: Pod) -> None:
    with Sources() as sources:
        assert verify_artifact(RemoteFile(**pod.file), sources) is None
        (pod.store / "model.onnx").write_bytes(WEIGHTS + b"!")
        problem = verify_artifact(RemoteFile(**pod.file), sources)
    assert problem is not None
    assert (problem.expected, problem.found) == ("7000 bytes", "7001 bytes")
    assert list(pod.volume.iterdir()) == []
