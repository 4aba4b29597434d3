"""Containers' and pods' names, from made files of each runtime as they stand below /."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from estab.observe.containers import ContainerNames, container_names

ID, OTHER = "3f5a" * 16, "77c1" * 16
UID = "0b7f3c52-6f0e-4d43-9a0e-2f6f1c9d7a11"
IN_POD = ContainerNames(container="nginx", pod="shop/web-0")
K8S = f"k8s_nginx_web-0_shop_{UID}_3"


def write(root: Path, name: str, content: Any = None) -> None:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))


def docker(root: Path, name: str) -> None:
    write(root, f"var/lib/docker/containers/{ID}/config.v2.json", {"ID": ID, "Name": f"/{name}"})


def storage(root: Path, name: str, file: str = "containers.json") -> None:
    entries = [{"id": OTHER, "names": ["other"]}, {"id": ID, "names": [name, "alias"], "metadata": "{}"}]
    write(root, f"var/lib/containers/storage/overlay-containers/{file}", entries)


def kubelet(root: Path) -> None:
    write(root, f"var/log/containers/other_shop_side-{OTHER}.log", "")
    write(root, f"var/log/containers/web-0_shop_nginx-{ID}.log", "")


def cri(root: Path) -> None:
    names = {"container-name": "nginx", "sandbox-name": "web-0", "sandbox-namespace": "shop", "sandbox-uid": UID}
    told = {f"io.kubernetes.cri.{key}": value for key, value in names.items()}
    write(root, f"run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json", {"annotations": told})


def test_docker(tmp_path: Path) -> None:
    docker(tmp_path, "web")
    assert container_names(ID, root=str(tmp_path)) == ContainerNames(container="web")


@pytest.mark.parametrize("file", ["containers.json", "volatile-containers.json"])
def test_podman(tmp_path: Path, file: str) -> None:
    storage(tmp_path, "web", file)
    assert container_names(ID, root=str(tmp_path)) == ContainerNames(container="web")


def test_cri_o_and_dockershim(tmp_path: Path) -> None:
    storage(tmp_path / "crio", K8S)
    docker(tmp_path / "dockershim", K8S)
    for name in ("crio", "dockershim"):
        assert container_names(ID, UID, root=str(tmp_path / name)) == IN_POD


def test_containerd(tmp_path: Path) -> None:
    cri(tmp_path)
    assert container_names(ID, UID, root=str(tmp_path)) == IN_POD


def test_nerdctl(tmp_path: Path) -> None:
    write(
        tmp_path,
        f"run/containerd/io.containerd.runtime.v2.task/default/{ID}/config.json",
        {"annotations": {"nerdctl/name": "web"}},
    )
    assert container_names(ID, root=str(tmp_path)) == ContainerNames(container="web")


def test_the_kubelet_s_links(tmp_path: Path) -> None:
    kubelet(tmp_path)
    assert container_names(ID, UID, root=str(tmp_path)) == IN_POD


def test_a_pod_s_own_container_has_no_log(tmp_path: Path) -> None:
    """The pause container, which holds the pod's namespace, is known by the pod's directory alone."""
    (tmp_path / f"var/log/pods/shop_web-0_{UID}").mkdir(parents=True)
    (tmp_path / "var/log/pods/unlike").mkdir()
    assert container_names(ID, UID, root=str(tmp_path)) == ContainerNames(pod="shop/web-0")


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"Name": 7}', '{"annotations": []}', "[" * 5_000])
def test_what_is_damaged_gives_no_name(tmp_path: Path, content: str) -> None:
    for name in (
        f"var/lib/docker/containers/{ID}/config.v2.json",
        "var/lib/containers/storage/overlay-containers/containers.json",
        f"run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json",
    ):
        write(tmp_path, name, content)
    assert container_names(ID, UID, root=str(tmp_path)) == ContainerNames()


def test_what_is_no_container_has_none(tmp_path: Path) -> None:
    assert container_names(None, root=str(tmp_path)) == ContainerNames()
