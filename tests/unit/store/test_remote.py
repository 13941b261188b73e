"""ROOT files behind a URL, from a server of our own."""

from __future__ import annotations

import gc
import http.server
import re
import socketserver
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from darkfactory.config.load import read_yaml, validate
from darkfactory.config.ntuples import NtupleMapConfig
from darkfactory.core.errors import InputError
from darkfactory.store.ntuples import open_ntuple, read_ntuple, tree_names
from darkfactory.store.remote import remote_stamp, stamp_digest
from darkfactory.store.sources import list_files

ROOT = Path(__file__).parents[3]
# uproot leaves sockets of requests that failed to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


class Ranges(http.server.SimpleHTTPRequestHandler):
    """Files of a folder; one range a request, as most servers; below ``/whole/`` none."""

    def do_GET(self) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        whole = self.path.startswith("/whole/")
        file = Path(self.directory) / self.path.removeprefix("/whole").lstrip("/")
        if not file.is_file():
            self.send_error(404)
            return
        content = file.read_bytes()
        if wanted is None or whole:
            self.send_response(200)
        else:
            first, last = int(wanted[1]), min(int(wanted[2]), len(content) - 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            content = content[first : last + 1]
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_HEAD(self) -> None:
        self.path = self.path.removeprefix("/whole")
        super().do_HEAD()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("served")
    n = 5000
    columns = {f"__{c}__": np.full(n, 7, np.int32) for c in ("experiment", "run")}
    columns |= {"__event__": np.arange(n, dtype=np.int32), "px": np.linspace(-1, 1, n)}
    for name in ("a.root", "b.root"):
        with uproot.recreate(folder / name) as file:
            file.mktree("mu", {k: v.dtype for k, v in columns.items()}).extend(columns)
    (folder / "cut.root").write_bytes((folder / "a.root").read_bytes()[:20000])
    (folder / "page.root").write_text("<html>please log in</html>" * 20)

    def handler(*args: Any) -> Ranges:
        return Ranges(*args, directory=str(folder))

    # not an HTTPServer: that asks for the name of the host
    served = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
    served.daemon_threads = True
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{served.server_address[1]}", folder
    served.shutdown()
    served.server_close()
    thread.join()
    gc.collect()


@pytest.fixture(scope="module")
def names() -> NtupleMapConfig:
    return validate(NtupleMapConfig, read_yaml(ROOT / "config" / "ntuples" / "basf2.yaml"))


def test_a_remote_file_reads_like_a_local_one(server: tuple[str, Path], names: NtupleMapConfig) -> None:
    url, folder = f"{server[0]}/a.root", str(server[1] / "a.root")
    assert tree_names(url) == ["mu"]
    info, local = open_ntuple(url, "mu", names), open_ntuple(folder, "mu", names)
    assert (info.path, info.entries, info.columns) == (url, local.entries, local.columns)
    far, near = (read_ntuple(p, "mu", names, ["event", "px"], (1234, 2345)) for p in (url, folder))
    assert far["event"].tolist() == list(range(1234, 2345))
    assert near["px"].tolist() == far["px"].tolist()


def test_versions_of_a_remote_file_differ(server: tuple[str, Path]) -> None:
    one, again, two = (remote_stamp(f"{server[0]}/{n}.root") for n in ("a", "a", "b"))
    assert one == again
    assert one[:2] == two[:2]  # of equal size
    assert stamp_digest(one) != stamp_digest(two)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/none.root", r"/none\.root does not exist on its server"),
        ("/cut.root", r"/cut\.root is truncated: it has 20000 bytes of \d+"),
        ("/page.root", r"/page\.root cannot be opened as a ROOT file"),
        ("/whole/a.root", r"rather than 206 \(range requests\).*answers range requests"),
    ],
)
def test_what_is_wrong_with_a_remote_file(
    server: tuple[str, Path], names: NtupleMapConfig, path: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        open_ntuple(server[0] + path, "mu", names)


def test_a_server_that_is_not_there(names: NtupleMapConfig) -> None:
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9/a\.root cannot be opened.*ConnectionRefused"):
        open_ntuple("http://127.0.0.1:9/a.root", "mu", names)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("root://host.example//a.root", r"reads root:// is not installed.*fsspec-xrootd"),
        ("nosuch://host/a.root", r"nosuch://host/a\.root cannot be opened.*nosuch"),
    ],
)
def test_protocols_without_their_package(
    names: NtupleMapConfig, url: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a name that is None cannot be imported, wherever this test runs
    monkeypatch.setitem(sys.modules, "fsspec_xrootd", None)
    with pytest.raises(InputError, match=message):
        open_ntuple(url, "mu", names)


def test_urls_are_single_files() -> None:
    assert list_files(["https://h/a.root", "https://h/a.root", "root://h//b.root"]) == [
        "https://h/a.root",
        "root://h//b.root",
    ]
    with pytest.raises(InputError, match=r"a URL is one file, servers list none"):
        list_files(["https://h/*.root"])
